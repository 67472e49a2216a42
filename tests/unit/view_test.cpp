// SPDX-License-Identifier: MIT
//
// What people read.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "src/view/columns.h"
#include "src/view/hist_bars.h"
#include "src/view/hist_table.h"
#include "src/view/inventory.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

std::string table(const Snapshot& s, const TableOptions& options = {}) {
  std::ostringstream out;
  print_hist(out, s, options);
  return out.str();
}

std::string bars(const Histogram& histogram) {
  std::ostringstream out;
  print_bars(out, histogram, 80);
  return out.str();
}

std::string list(const Inventory& inventory) {
  std::ostringstream out;
  print_inventory(out, inventory, 80, Colours::no);
  return out.str();
}

TEST(Table, OneProcess) { expect_golden("table.txt", table(of_one_process())); }
TEST(Table, ProcessesStandApart) { expect_golden("table_processes.txt", table(of_two_processes())); }
TEST(Table, NastyKeys) { expect_golden("table_nasty.txt", table(with_nasty_keys())); }
TEST(Table, NastyNames) { expect_golden("table_nasty_names.txt", table(with_nasty_names())); }
TEST(Table, Bars) { expect_golden("table_bars.txt", table(of_one_process(), {.bars = true})); }
TEST(Table, Losses) { expect_golden("table_losses.txt", table(with_losses())); }
TEST(Table, WaitsThatEndedAfterAllAreNotAbandoned) {
  Snapshot s = of_one_process();
  s.abandoned_cnt = 3;
  s.losses.stale = 2;
  EXPECT_NE(table(s).find("\n  1 wait abandoned: a longjmp left it open"), std::string::npos) << table(s);
  s.losses.stale = 4;  // in an interval: they had been taken for abandoned before it
  EXPECT_EQ(table(s).find("longjmp"), std::string::npos) << table(s);
}
TEST(Table, WhatIsNotVerified) {
  expect_golden("table_unverified.txt", table(with_unverified()));
  Snapshot nothing = snapshot({});
  nothing.caveats.unverified = {{21, "worker", "/srv/worker", unverified::word_is_zero.name}};
  EXPECT_TRUE(table(nothing).starts_with("No waits were seen in 2.00s; 1 process not verified\n")) << table(nothing);
  nothing.caveats.unverified = {{1, "init", "", unverified::hidden.name}, {9, "sshd", "", unverified::hidden.name}};
  EXPECT_NE(table(nothing).find("not verified: init (1) and 1 more\n  not looked into: "), std::string::npos) << table(nothing);
  nothing.caveats.unverified = {{0, "", "", unverified::not_told.name}};
  EXPECT_TRUE(
      table(nothing).starts_with("No waits were seen in 2.00s; some processes may be unknown\n"
                                 "not verified: some processes or files may be unknown\n  not told of: "))
      << table(nothing);
}
TEST(Table, Nothing) { expect_golden("table_nothing.txt", table(snapshot({}))); }
TEST(Table, KeysThatWouldLookAlikeStandOnLinesOfTheirOwn) {
  expect_golden("table_alike.txt", table(snapshot({series("pytorch.wait_counter.fx_codegen_and_compile", {9}),
                                                   series("pytorch.wait_counter.actual_codegen_and_compile", {8}),
                                                   series("pytorch.wait_counter.dynamo_compile", {7}), series("short", {6})})));
}
TEST(Table, Interval) {
  expect_golden("table_interval.txt", table(interval(of_two_processes(), snapshot({series("disk.read", {35'000})}, 1))));
}

TEST(Table, KeysThatWereLeftOutCountForCoverage) {
  Snapshot s = of_one_process();
  s.losses.gap = 1;
  keep_keys(s, {"disk.*"});
  expect_golden("table_left_out.txt", table(s));
}

TEST(Table, NothingButKeysThatWereLeftOut) {
  Snapshot s = of_one_process();
  keep_keys(s, {"none"});
  expect_golden("table_all_left_out.txt", table(s));
}

TEST(Table, FitsATerminalWhateverTheFigures) {
  for (const Snapshot& s : {of_one_process(), of_two_processes(), with_nasty_keys(), with_losses(), of_extremes()}) {
    expect_fits_a_terminal(table(s, {.bars = true}));
  }
}

TEST(Table, HundredPercentIsToldOnlyWhenNothingIsMissing) {
  Snapshot s = snapshot({series("a", std::vector<std::uint64_t>(1'000'000, 5))});
  EXPECT_NE(table(s).find("coverage 100 %: none was lost"), std::string::npos);
  s.losses.gap = 1;
  EXPECT_EQ(table(s).find("100 %"), std::string::npos);
  EXPECT_NE(table(s).find("99.99 %"), std::string::npos);
  wp_hist many = totals_of({5});
  many.bucket[5] = std::uint64_t{1} << 62;
  s.series[0].histogram = Histogram(many);
  EXPECT_NE(table(s).find("99.99 %"), std::string::npos) << "however little is missing";
}

TEST(Table, CanBeSortedByEveryColumnGreatestFirst) {
  const Snapshot s = snapshot({series("b", {9, 9, 9}), series("a", {90, 100, 1}), series("c", {95}), series("d", {9, 9, 9})});
  const auto order = [&](const std::string& column) {
    std::string keys;
    for (const Series* row : sorted(s.series, column)) keys += row->key;
    return keys;
  };
  EXPECT_EQ(order("key"), "abcd");
  EXPECT_EQ(order("count"), "badc") << "equals stay in their order";
  EXPECT_EQ(order("rate"), "badc");
  EXPECT_EQ(order("total"), "acbd");
  EXPECT_EQ(order("p50"), "cabd");
  EXPECT_EQ(order("p90"), "acbd");
  EXPECT_EQ(order("p99"), "acbd");
  EXPECT_EQ(order("max"), "acbd");
  EXPECT_EQ(sort_names().size(), 8U) << "a new column wants a line above";
  EXPECT_EQ(table(s).find("\na "), table(s).find('\n', table(s).find("key "))) << "the total, if nothing is said";
}

TEST(Table, WaitersAreThreadsThatWaitedOnAverage) {
  const auto waiters = [](std::vector<std::uint64_t> durations, std::uint64_t elapsed_ns) {
    const auto column =
        std::find_if(columns().begin(), columns().end(), [](const Column& c) { return c.header == std::string("waiters"); });
    return column->text(series("a", durations), elapsed_ns);
  };
  EXPECT_EQ(waiters({11'280'000'000}, 2'000'000'000), "5.64");
  EXPECT_EQ(waiters({10'000'000}, 2'000'000'000), "0.01");
  EXPECT_EQ(waiters({200'000'000'000}, 2'000'000'000), "100");
  EXPECT_EQ(waiters({5}, 0), "-");
}

TEST(Bars, HoldEveryWaitOnceFromTheFirstRowToTheLast) {
  EXPECT_EQ(bars(Histogram(totals_of({}))), "");
  expect_golden("bars_ends.txt",
                bars(Histogram(totals_of({0, 0, 1, 2, 3, 4, WP_BUCKET_END_NS - 1, WP_BUCKET_END_NS, UINT64_MAX}))));
}

TEST(Bars, ShowARowThatHoldsLittle) {
  std::vector<std::uint64_t> durations(1'000, 100);
  durations.push_back(1);
  EXPECT_NE(bars(Histogram(totals_of(durations))).find(" 1 #\n"), std::string::npos);
}

TEST(Table, NothingIsShortenedWhereTheWidthIsUnlimited) {
  for (const Snapshot& s : {of_one_process(), of_two_processes(), with_nasty_keys(), with_nasty_names(), of_ranks()}) {
    const std::string text = table(s, {.width = unlimited_width, .bars = true});
    for (const Series& one : s.series) {
      EXPECT_NE(text.find(shown_key(one.key, one.key_len)), std::string::npos) << text;
      EXPECT_TRUE(!s.group_by.empty() || text.find(escape(one.comm) + " (") != std::string::npos) << text;
    }
    EXPECT_LT(text.size(), 100'000U) << "nor filled up";
  }
}

TEST(List, ForPeople) { expect_golden("list.txt", list(inventory())); }

TEST(List, Nobody) { EXPECT_EQ(list({}), "No process carries the probes of waitprobe.\n"); }

TEST(List, OneProcessThatCouldNotBeRead) {
  Inventory one;
  one.unseen.process_cnt = 1;
  EXPECT_NE(list(one).find("\n1 more process could"), std::string::npos) << list(one);
  EXPECT_NE(list(one).find("\n  run it as root"), std::string::npos) << list(one);
}

TEST(List, NoHintOnRightsForOneWhoHasAll) {
  Inventory one;
  one.unseen = {1, true, true};
  EXPECT_NE(list(one).find("\n1 more process could not be read\n"), std::string::npos) << list(one);
  EXPECT_EQ(list(one).find("root"), std::string::npos) << list(one);
}

TEST(List, ShowsAHundredKeysOfAProcessAndSaysHowManyMore) {
  Inventory many;
  many.carriers = {{17, "server", "/usr/bin/server", true, WP_CLOCK_MONOTONIC, std::vector<std::string>(1'250, "key")}};
  const std::string text = list(many);
  EXPECT_NE(text.find("and 1150 more; --json shows all"), std::string::npos) << text;
  expect_fits_a_terminal(text);
}

}  // namespace
}  // namespace waitprobe
