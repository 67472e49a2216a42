// SPDX-License-Identifier: MIT
#include "src/model/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

std::vector<std::string> keys_of(const Snapshot& s) {
  std::vector<std::string> keys;
  for (const Series& one : s.series) keys.push_back(one.key);
  return keys;
}

TEST(Snapshot, CoverageIsWhatWasSeenAndWhatWasLost) {
  Snapshot s = snapshot({series("a", {1, 2}), series("b", {3})});
  s.losses.series_full = 4;
  s.losses.reentered = 1;
  EXPECT_EQ(s.coverage().observed, 3U);
  EXPECT_EQ(s.coverage().lost, 5U);
}

TEST(Snapshot, MergingPutsShardsOfOneKeyTogetherAndProcessesApart) {
  std::vector<Series> all = {series("b", {1}), series("a", {2}), series("b", {3}), series("b", {4}, 18), series("c", {})};
  merge_series(all);
  ASSERT_EQ(all.size(), 3U) << "the empty one is left out";
  EXPECT_EQ(all[0].key, "a");
  EXPECT_EQ(all[1].key, "b");
  EXPECT_EQ(all[1].histogram.total_ns(), 4U);
  EXPECT_EQ(all[2].pid, 18U);
}

TEST(Snapshot, LongKeysWithOneBeginningStayApart) {
  std::vector<Series> all = {series(std::string(300, 'x'), {1}), series(std::string(300, 'x'), {2})};
  all[0].distinct = 1;
  all[1].distinct = 2;
  merge_series(all);
  EXPECT_EQ(all.size(), 2U);
}

TEST(Snapshot, AnIntervalHoldsOnlyWhatIsNew) {
  Snapshot early = snapshot({series("a", {1}), series("b", {1})}, 1'000);
  Snapshot late = snapshot({series("a", {1}), series("b", {1, 2}), series("c", {3})}, 3'000);
  early.losses.series_full = 2;
  late.losses.series_full = 5;
  early.caveats.attached_late = {{1, "x", "old", 500}};
  late.caveats.attached_late = {{1, "x", "old", 500}, {1, "x", "new", 1'500}};
  const Snapshot between = interval(late, early);
  EXPECT_EQ(keys_of(between), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(between.elapsed_ns, 2'000U);
  EXPECT_EQ(between.losses.series_full, 3U);
  ASSERT_EQ(between.caveats.attached_late.size(), 1U);
  EXPECT_EQ(between.caveats.attached_late[0].file, "new");
}

TEST(Snapshot, AnIntervalTellsOfProcessesThatAreNotVerifiedUntilTheyHaveEnded) {
  Snapshot early = snapshot({}, 1'000), late = snapshot({}, 3'000);
  EXPECT_TRUE(late.caveats.empty());
  early.caveats.unverified = {{1, "x", "old", "word is zero", 500}, {2, "x", "lives", "word is zero"}};
  late.caveats.unverified = {
      {1, "x", "old", "word is zero", 500}, {2, "x", "lives", "word is zero"}, {3, "x", "new", "word is zero", 1'500}};
  const Snapshot between = interval(late, early);
  ASSERT_EQ(between.caveats.unverified.size(), 2U);
  EXPECT_EQ(between.caveats.unverified[0].pid, 2U);
  EXPECT_EQ(between.caveats.unverified[1].pid, 3U);
  EXPECT_FALSE(between.caveats.empty());
}

TEST(Snapshot, AnIntervalTellsEveryLoss) {
  Snapshot early = snapshot({}, 1'000), late = snapshot({}, 3'000);
  std::uint64_t n = 0;
  for (const auto& [name, loss, meaning] : all_losses) {
    early.losses.*loss = 10;
    late.losses.*loss = 10 + ++n;
  }
  const Losses between = interval(late, early).losses;
  n = 0;
  for (const LossRow& loss : all_losses) EXPECT_EQ(between.*loss.count, ++n);
  EXPECT_EQ(between.sum(), n * (n + 1) / 2);
}

TEST(Snapshot, FiguresThatWentBackCountAsZero) {
  Snapshot early = snapshot({series("a", {1, 1})}, 3'000), late = snapshot({series("a", {1})}, 1'000);
  early.losses.late = 2;
  late.losses.late = 1;
  const Snapshot between = interval(late, early);
  EXPECT_EQ(between.elapsed_ns, 0U);
  EXPECT_EQ(between.losses.late, 0U);
  EXPECT_TRUE(between.series.empty());
}

// Against a plain map: series come and go between two snapshots, in all orders.
TEST(Snapshot, AnIntervalIsTheDifferenceOfEverySeriesWhicheverCameOrWent) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; round++) {
    std::vector<Series> before, after;
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> truth;
    for (std::uint32_t pid = 1; pid < 4; pid++) {
      for (const char* key : {"", "a", "aa", "b", "\xff"}) {
        const std::vector<std::uint64_t> old(random() % 3, 7);
        std::vector<std::uint64_t> all = old;
        all.resize(old.size() + random() % 3, 9);
        const bool vanished = random() % 5 == 0;
        before.push_back(series(key, old, pid));
        if (!vanished) after.push_back(series(key, all, pid));
        if (!vanished && all.size() > old.size()) truth[{pid, key}] = all.size() - old.size();
      }
    }
    std::shuffle(before.begin(), before.end(), random);
    std::shuffle(after.begin(), after.end(), random);
    merge_series(before);
    merge_series(after);
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> seen;
    for (const Series& s : interval(snapshot(after, 2), snapshot(before, 1)).series) seen[{s.pid, s.key}] = s.histogram.count();
    ASSERT_EQ(seen, truth);
  }
}

TEST(Snapshot, AReusedPidIsAnotherProcess) {
  std::vector<Series> all = {series("a", {1}), series("a", {2})};
  all[1].process_start_ticks++;
  merge_series(all);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(interval(snapshot({all[1]}, 2), snapshot({all[0]}, 1)).series.size(), 1U);
}

TEST(Snapshot, AfterAnExecAMergedSeriesHasTheNameOfToday) {
  std::vector<Series> all = {series("a", {1}), series("a", {2})};
  all[0].comm = "shell";
  merge_series(all);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].comm, "server");
}

TEST(Snapshot, KeysThatAreLeftOutStayInCoverage) {
  Snapshot s = snapshot({series("a", {1, 2}), series("b", {3})});
  s.losses.gap = 1;
  keep_keys(s, {"b"});
  EXPECT_EQ(s.left_out_cnt, 2U);
  EXPECT_EQ(s.coverage().observed, 3U);
  keep_keys(s, {"c"});
  EXPECT_EQ(s.left_out_cnt, 3U);
}

TEST(Snapshot, APatternMatchesKeysOfAnyBytes) {
  const std::string zero("db\0x", 4);
  Snapshot s = snapshot({series(zero, {1}), series("db\n/.\xff\xe2", {1})});
  keep_keys(s, {"db*"});
  EXPECT_EQ(s.series.size(), 2U);
  keep_keys(s, {"db?x"});
  EXPECT_EQ(keys_of(s), (std::vector<std::string>{zero}));
  keep_keys(s, {"db"});
  EXPECT_TRUE(s.series.empty()) << "a key does not end at a zero byte";
}

TEST(Snapshot, PatternsKeepKeysThatMatchAny) {
  Snapshot s = snapshot({series("db.pool", {1}), series("db.query", {1}), series("disk", {1}), series("", {1})});
  keep_keys(s, {});
  EXPECT_EQ(s.series.size(), 4U);
  keep_keys(s, {"db.*", "d?sk"});
  EXPECT_EQ(keys_of(s), (std::vector<std::string>{"db.pool", "db.query", "disk"}));
  keep_keys(s, {"db"});
  EXPECT_TRUE(s.series.empty()) << "a pattern matches whole keys";
}

TEST(Snapshot, PatternsWithAnExclamationMarkExclude) {
  const Snapshot all = snapshot({series("db.pool", {1}), series("db.query", {1}), series("disk", {1})});
  Snapshot s = all;
  keep_keys(s, {"!db.*"});
  EXPECT_EQ(keys_of(s), (std::vector<std::string>{"disk"}));
  EXPECT_EQ(s.left_out_cnt, 2U);
  s = all;
  keep_keys(s, {"!*query", "db.*"});
  EXPECT_EQ(keys_of(s), (std::vector<std::string>{"db.pool"}));
}

}  // namespace
}  // namespace waitprobe
