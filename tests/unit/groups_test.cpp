// SPDX-License-Identifier: MIT
//
// Processes put together in groups.
#include "src/model/groups.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "src/view/hist_table.h"
#include "src/view/json.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

Series of_group(std::optional<std::string> group, const std::string& key, const std::vector<std::uint64_t>& durations,
                std::uint32_t pid) {
  Series s = series(key, durations, pid);
  s.group = std::move(group);
  return s;
}

std::string table(const Snapshot& s, const TableOptions& options = {}) {
  std::ostringstream out;
  print_hist(out, s, options);
  return out.str();
}

std::string json_text(const Snapshot& s) {
  std::ostringstream out;
  print_json(out, s);
  return out.str();
}

TEST(Groups, NumbersInTheirOrderThenTextsThenThoseWithout) {
  const auto keys = by_key_and_group(
      {of_group("b", "k", {1}, 1), of_group("10", "k", {1}, 2), of_group(std::nullopt, "k", {1}, 3), of_group("9", "k", {1}, 4),
       of_group("a", "k", {1}, 5), of_group("", "k", {1}, 6), of_group("99999999999999999999", "k", {1}, 7),
       of_group("-1", "k", {1}, 8), of_group("09", "k", {1}, 9)});
  ASSERT_EQ(keys.size(), 1U);
  std::vector<std::string> order;
  for (const Series& group : keys[0].groups) order.push_back(group.group.value_or("none"));
  EXPECT_EQ(order, (std::vector<std::string>{"09", "9", "10", "", "-1", "99999999999999999999", "a", "b", "none"}));
}

TEST(Groups, AddUpTheirProcessesAndKeysAddUpTheirGroups) {
  const auto keys = by_key_and_group(
      {of_group("0", "b", {1, 2}, 1), of_group("1", "b", {5}, 2), of_group("0", "b", {4}, 3), of_group("0", "a", {7}, 1)});
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].all.key, "a");
  ASSERT_EQ(keys[1].groups.size(), 2U);
  EXPECT_EQ(keys[1].groups[0].histogram.count(), 3U);
  EXPECT_EQ(keys[1].groups[0].histogram.total_ns(), 7U);
  EXPECT_EQ(keys[1].groups[0].pid, 0U);
  EXPECT_EQ(keys[1].all.histogram.count(), 4U);
  EXPECT_EQ(keys[1].all.histogram.max_ns(), 5U);
}

TEST(Groups, LongKeyIsOneWhateverTellsItApartInAProcess) {
  Series one = of_group("0", std::string(1000, 'x'), {1}, 1), other = of_group("1", std::string(1000, 'x'), {1}, 2);
  one.distinct = 1;
  other.distinct = 2;
  EXPECT_EQ(by_key_and_group({one, other}).size(), 1U);
  EXPECT_EQ(by_key_and_group({one, of_group("0", std::string(999, 'x'), {1}, 1)}).size(), 2U);
}

TEST(Groups, SpreadIsBetweenThoseThatHaveAValue) {
  const auto spread = [](const std::vector<Series>& all) { return spread_of(by_key_and_group(all).at(0)); };
  EXPECT_FALSE(spread({of_group("0", "k", {1}, 1)}));
  EXPECT_FALSE(spread({of_group("0", "k", {1}, 1), of_group(std::nullopt, "k", {9}, 2)}));
  const std::vector<KeyInGroups> keys = by_key_and_group({of_group("0", "k", {5, 6}, 1), of_group("1", "k", {3, 4}, 2),
                                                          of_group("2", "k", {100}, 3), of_group(std::nullopt, "k", {1}, 4)});
  const auto found = spread_of(keys.at(0));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->least->group, "1");
  EXPECT_EQ(found->most->group, "2");
  EXPECT_EQ(found->ns, 93U);
  const std::vector<KeyInGroups> equals = by_key_and_group({of_group("0", "k", {5}, 1), of_group("1", "k", {5}, 2)});
  EXPECT_EQ(spread_of(equals.at(0))->least->group, "0");
  EXPECT_EQ(spread_of(equals.at(0))->most->group, "1");
}

TEST(Groups, IntervalHasThemToo) {
  const Snapshot between = interval(of_ranks(), snapshot({}));
  EXPECT_EQ(between.group_by, "RANK");
  EXPECT_EQ(between.series.at(0).group, "9");
}

TEST(GroupTable, Ranks) { expect_golden("table_groups.txt", table(of_ranks())); }
TEST(GroupTable, SortedByKey) { expect_golden("table_groups_by_key.txt", table(of_ranks(), {.sort = "key"})); }
TEST(GroupTable, KeyStandsInItsColumnWhereThatIsWideEnough) {
  EXPECT_NE(table(of_ranks(), {.width = 120}).find("\npytorch.wait_counter.TCPStore__waitForWorkers   "), std::string::npos);
  Snapshot zones = of_ranks();
  for (Series& s : zones.series) s.group = "europe-west1-b/node-17";
  EXPECT_EQ(table(zones).find("europe-west1-b/node-17"), std::string::npos) << "80 columns have no room";
  EXPECT_NE(table(zones, {.width = 132}).find(" europe-west1-b/node-17 "), std::string::npos);
}
TEST(GroupTable, Bars) { expect_golden("table_groups_bars.txt", table(of_ranks(), {.bars = true})); }
TEST(GroupTable, Nasty) { expect_golden("table_groups_nasty.txt", table(of_nasty_groups())); }
TEST(GroupTable, FitsATerminal) {
  for (const Snapshot& s : {of_ranks(), of_nasty_groups()}) expect_fits_a_terminal(table(s, {.bars = true}));
}
TEST(GroupTable, NobodyHasAValue) {
  Snapshot s = of_one_process();
  s.group_by = "RANK";
  expect_golden("table_groups_none.txt", table(s));
}
TEST(GroupTable, NoWaits) {
  Snapshot s = snapshot({});
  s.group_by = "RANK";
  EXPECT_EQ(table(s), "No waits were seen in 2.00s\n");
}

TEST(GroupJson, EachProcessSaysItsGroupAndEachKeyItsSpread) {
  const auto json = nlohmann::json::parse(json_text(of_ranks()));
  EXPECT_EQ(json["group_by"], "RANK");
  EXPECT_EQ(json["series"][0]["group"], "9");
  EXPECT_FALSE(json["series"][5].contains("group")) << "it has none";
  ASSERT_EQ(json["spread"].size(), 2U);
  const auto& barrier = json["spread"][1];
  EXPECT_EQ(barrier["key"], "train.barrier");
  EXPECT_EQ(barrier["least"]["group"], "10");
  EXPECT_EQ(barrier["least"]["total_ns"], 13'000);
  EXPECT_EQ(barrier["most"]["group"], "9");
  EXPECT_EQ(barrier["most"]["count"], 3);
}

TEST(GroupJson, Nasty) { expect_golden("groups_nasty.json", json_text(of_nasty_groups())); }

TEST(GroupJson, NothingOfItWhereProcessesStandApart) {
  EXPECT_EQ(json_text(of_one_process()).find("group"), std::string::npos);
  EXPECT_EQ(json_text(of_one_process()).find("spread"), std::string::npos);
}

}  // namespace
}  // namespace waitprobe
