// SPDX-License-Identifier: MIT
//
// Waits over time, and the page that shows them. What a browser makes of it is seen in tests/e2e/page_test.py.
#include "src/view/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "src/view/heat_map.h"
#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

History of(const std::vector<Snapshot>& totals) {
  History history = begin_history(totals.back());
  Snapshot before;
  for (const Snapshot& now : totals) {
    add_column(history, interval(now, before));
    before = now;
  }
  return history;
}

std::string page_of(const History& history, const PageOptions& options = {{"web1"}, "total"}) {
  std::ostringstream out;
  print_page(out, history, options);
  return out.str();
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) found++;
  return found;
}

TEST(History, HoldsKeysOfAllProcessesColumnByColumn) {
  const History history = of({snapshot({series("a", {5, 6}, 1), series("a", {7}, 2)}, second_ns),
                              snapshot({series("a", {5, 6}, 1), series("a", {7}, 2), series("b", {9, 10}, 2)}, 2 * second_ns)});
  ASSERT_EQ(history.columns.size(), 2U);
  EXPECT_EQ(history.columns[1].elapsed_ns, second_ns);
  ASSERT_EQ(history.keys.size(), 2U);
  EXPECT_EQ(history.keys[0].total.key, "a");
  EXPECT_EQ(history.keys[0].total.histogram.count(), 3U);
  EXPECT_EQ(history.keys[0].processes.size(), 2U);
  EXPECT_EQ(history.keys[0].columns[0].buckets.size(), 3U);
  EXPECT_TRUE(history.keys[0].columns[1].buckets.empty());
  EXPECT_TRUE(history.keys[1].columns[0].buckets.empty());
  EXPECT_EQ(history.keys[1].columns[1].total_ns, 19U);
}

TEST(Page, WhateverTheKeysTheyAreText) {
  std::vector<Series> all;
  for (const std::string& key : nasty_keys()) all.push_back(series(key, {1'000, 2'000'000}));
  all.push_back(series("\"><script>alert(1)</script>&amp;'", {5}));
  merge_series(all);
  const std::string page = page_of(of({snapshot(std::move(all))}), {{"\x1b]0;evil\x07<b>\xff"}, "key"});
  for (const char c : page) ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << "control characters";
  EXPECT_EQ(count(page, "<script>"), 1U);
  EXPECT_EQ(count(page, "<b>"), 0U);
  EXPECT_EQ(count(page, "(empty key)"), 2U);
  EXPECT_NE(page.find("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&#39;"), std::string::npos);
  EXPECT_NE(page.find("\\x1b]0;evil\\x07&lt;b&gt;\\xff"), std::string::npos);
}

TEST(Page, WhateverTheDurations) {
  for (const std::vector<std::uint64_t>& durations : {std::vector<std::uint64_t>{0},
                                                      {1},
                                                      {0, UINT64_MAX},
                                                      {WP_BUCKET_END_NS},
                                                      {1'000'000, 1'000'001},
                                                      {3, 3'000, 3'000'000'000}}) {
    const std::string page = page_of(of({snapshot({series("a", durations)})}));
    EXPECT_EQ(count(page, "<path class=\"line"), 3U);
    EXPECT_GE(count(page, "<path class=\"l"), 4U) << "and cells";
    EXPECT_EQ(count(page, "nan"), 0U);
    EXPECT_EQ(count(page, "h-1z\"") > 0, true);
    for (const char* bad : {"v-", "v0h", "M-", "M0 -"}) EXPECT_EQ(count(page, bad), 0U) << bad;
  }
}

TEST(Page, IsNamedAfterItsProgramsAndHosts) {
  EXPECT_EQ(count(page_of(of({snapshot({series("a", {5})})})), "<h1>Wait report: server (17)</h1>"), 1U);
  std::vector<Series> all;
  for (std::uint32_t pid = 1; pid <= 5; pid++) {
    all.push_back(series("a", {5}, pid));
    all.back().comm = "p<" + std::to_string(pid);
    all.back().host = "web1";
  }
  const std::string page = page_of(of({snapshot(std::move(all))}));
  EXPECT_EQ(count(page, "Wait report: p&lt;1, p&lt;2, p&lt;3 and 2 more on web1<"), 2U) << "heading and title";
}

TEST(Page, OfNothingSaysSo) {
  const std::string page = page_of(begin_history(snapshot({})));
  EXPECT_NE(page.find("No waits were seen in 2.00s"), std::string::npos);
  EXPECT_EQ(count(page, "<svg"), 0U);
}

TEST(Page, TellsWhatWasLostAndWhatCameLate) {
  Snapshot s = snapshot({series("a", {5})});
  s.losses.gap = 3;
  s.caveats.attached_late = {{17, "x<", "/y", second_ns}};
  s.abandoned_cnt = 1;
  s.clamped_cnt = 2;
  const std::string page = page_of(of({s}));
  EXPECT_NE(page.find("coverage 25.00 % of waits seen; 1 process attached late"), std::string::npos);
  EXPECT_NE(page.find("lost: gap 3 (overwritten before they were fetched)"), std::string::npos);
  EXPECT_NE(page.find("x&lt; (17), /y started 1.00s in; counted from then"), std::string::npos);
  EXPECT_NE(page.find("<p>1 wait abandoned: a longjmp left it open</p>"), std::string::npos);
  EXPECT_NE(page.find("<p>2 waits counted as 0 ns: their clock went backwards</p>"), std::string::npos);
}

TEST(Page, DrawsAHundredKeysAndListsAll) {
  std::vector<Series> all;
  for (int i = 0; i < 150; i++) all.push_back(series("key." + std::to_string(i), {static_cast<std::uint64_t>(i) + 1}));
  merge_series(all);
  const std::string page = page_of(of({snapshot(std::move(all))}));
  EXPECT_EQ(count(page, "<section class=\"key\""), 100U);
  EXPECT_EQ(count(page, "<th scope=\"row\">"), 150U + 100U);
  EXPECT_NE(page.find("Details are below for the first 100 of 150 keys"), std::string::npos);
  EXPECT_NE(page.find(">key.149<"), std::string::npos);
}

}  // namespace
}  // namespace waitprobe
