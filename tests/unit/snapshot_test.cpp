// SPDX-License-Identifier: MIT
#include "src/model/snapshot.h"

#include <gtest/gtest.h>

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
  early.attached_late = {{1, "x", "old", 500}};
  late.attached_late = {{1, "x", "old", 500}, {1, "x", "new", 1'500}};
  const Snapshot between = interval(late, early);
  EXPECT_EQ(keys_of(between), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(between.elapsed_ns, 2'000U);
  EXPECT_EQ(between.losses.series_full, 3U);
  ASSERT_EQ(between.attached_late.size(), 1U);
  EXPECT_EQ(between.attached_late[0].file, "new");
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

}  // namespace
}  // namespace waitprobe
