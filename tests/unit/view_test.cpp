// SPDX-License-Identifier: MIT
//
// Every view against a file of what it printed when somebody last looked at it (golden/). WAITPROBE_UPDATE_GOLDEN=1 writes them
// anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "src/view/columns.h"
#include "src/view/escape.h"
#include "src/view/hist_table.h"
#include "src/view/inventory.h"
#include "src/view/json.h"
#include "src/view/loss_table.h"
#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

void expect_golden(const std::string& name, const std::string& printed) {
  const std::string path = std::string(GOLDEN_FOLDER) + "/" + name;
  if (std::getenv("WAITPROBE_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << printed;
  std::ifstream file(path, std::ios::binary);
  const std::string wanted((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(printed, wanted) << "if this is as it should be: WAITPROBE_UPDATE_GOLDEN=1, and look at the difference";
}

void expect_80_columns(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 80U) << line;
}

std::string table(const Snapshot& s, const TableOptions& options = {}) {
  std::ostringstream out;
  print_hist(out, s, options);
  return out.str();
}

std::string json_text(const auto& value) {
  std::ostringstream out;
  print_json(out, value);
  return out.str();
}

Snapshot of_one_process() {
  return snapshot({series("db.pool.acquire", {1'200'000, 1'500'000, 980'000'000, 2'000}), series("disk.read", {35'000, 40'000}),
                   series("a.key.that.is.much.too.long.for.the.column.it.stands.in", {5})});
}

Snapshot of_two_processes() {
  Snapshot s = of_one_process();
  s.series.push_back(series("other", {7'000'000'000}, 18));
  return s;
}

Snapshot with_nasty_keys() {
  Snapshot s = snapshot({});
  std::uint64_t ns = 1'000'000;
  for (const std::string& key : nasty_keys()) {
    s.series.push_back(series(key, {ns}));
    s.series.back().comm = "\x1b]0;evil\x07";
    ns -= 1'000;
  }
  return s;
}

Snapshot with_losses() {
  Snapshot s = of_one_process();
  s.losses = {.series_full = 1, .gap = 2, .late = 3, .reentered = 4, .unreadable = 5, .no_memory = 6, .unfollowed = 7};
  s.attached_late = {{17, "server", "/opt/plugins/" + std::string(90, 'p') + ".so", 1'500'000'000}};
  return s;
}

Inventory inventory() {
  Inventory i;
  i.carriers = {{17, "server", "/usr/bin/server", true, nasty_keys()},
                {18, "\x1b[1mworker", "/opt/" + std::string(100, 'x'), false, std::vector<std::string>()},
                {19, "other", "/usr/bin/other", std::nullopt, std::nullopt}};
  i.unreadable_cnt = 3;
  return i;
}

TEST(Table, OneProcess) { expect_golden("table.txt", table(of_one_process())); }
TEST(Table, ProcessesStandApart) { expect_golden("table_processes.txt", table(of_two_processes())); }
TEST(Table, NastyKeys) { expect_golden("table_nasty.txt", table(with_nasty_keys())); }
TEST(Table, Bars) { expect_golden("table_bars.txt", table(of_one_process(), {.bars = true})); }
TEST(Table, Losses) { expect_golden("table_losses.txt", table(with_losses())); }
TEST(Table, Nothing) { expect_golden("table_nothing.txt", table(snapshot({}))); }
TEST(Table, Interval) {
  expect_golden("table_interval.txt", table(interval(of_two_processes(), snapshot({series("disk.read", {35'000})}, 1))));
}

TEST(Table, FitsInto80Columns) {
  for (const Snapshot& s : {of_one_process(), of_two_processes(), with_nasty_keys(), with_losses()}) {
    expect_80_columns(table(s, {.bars = true}));
  }
}

TEST(Table, HundredPercentIsToldOnlyWhenNothingIsMissing) {
  Snapshot s = snapshot({series("a", std::vector<std::uint64_t>(1'000'000, 5))});
  EXPECT_NE(table(s).find("coverage 100 %: none was lost"), std::string::npos);
  s.losses.gap = 1;
  EXPECT_EQ(table(s).find("100 %"), std::string::npos);
  EXPECT_NE(table(s).find("99.99 %"), std::string::npos);
}

TEST(Table, CanBeSortedByEveryColumn) {
  const Snapshot s = of_one_process();
  for (const std::string& name : sort_names()) {
    const auto rows = sorted(s.series, name);
    ASSERT_EQ(rows.size(), s.series.size());
    if (name == "key") {
      EXPECT_EQ(rows.front()->key.front(), 'a');
    }
    if (name == "max") {
      EXPECT_EQ(rows.front()->key, "db.pool.acquire");
    }
    if (name == "count") {
      EXPECT_EQ(rows.front()->histogram.count(), 4U);
    }
  }
}

TEST(Table, LeavesTheStreamAsItWas) {
  std::ostringstream out;
  out << std::hex;
  out.width(7);
  out.width(0);
  print_hist(out, of_one_process(), {});
  out.str("");
  out << 255;
  EXPECT_EQ(out.str(), "ff");
}

TEST(Json, HoldsWhatTheContractSays) {
  const auto json = nlohmann::json::parse(json_text(with_losses()));
  EXPECT_EQ(json["waitprobe"], 1);
  EXPECT_EQ(json["time_unix_ns"], 1'700'000'000'000'000'000);
  EXPECT_EQ(json["elapsed_ns"], 2'000'000'000);
  EXPECT_EQ(json["coverage"]["observed"], 7);
  EXPECT_EQ(json["coverage"]["lost"], 28);
  for (const LossRow& loss : loss_table()) EXPECT_GT(json["losses"][loss.name], 0) << loss.name;
  const auto& one = json["series"][0];
  EXPECT_EQ(one["pid"], 17);
  EXPECT_EQ(one["key"], "db.pool.acquire");
  EXPECT_EQ(one["count"], 4);
  EXPECT_EQ(one["min_ns"], 2'000);
  EXPECT_EQ(one["max_ns"], 980'000'000);
  EXPECT_EQ(one["total_ns"], 982'702'000);
  for (const char* name : {"p50_ns", "p90_ns", "p99_ns", "p999_ns"}) EXPECT_TRUE(one[name].is_number_unsigned()) << name;
  std::uint64_t in_buckets = 0;
  for (const auto& bucket : one["buckets"]) in_buckets += bucket["count"].get<std::uint64_t>();
  EXPECT_EQ(in_buckets, 4U);
  EXPECT_EQ(json["attached_late"][0]["elapsed_ns"], 1'500'000'000);
}

TEST(Json, IsOneLineAndValidWhateverTheKeys) {
  const std::string text = json_text(with_nasty_keys());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto json = nlohmann::json::parse(text);
  const auto keys = nasty_keys();
  ASSERT_EQ(json["series"].size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); i++) {
    EXPECT_EQ(json["series"][i]["key"], repair_utf8(keys[i].substr(0, WP_KEY_MAX)));
    EXPECT_EQ(json["series"][i].contains("key_len"), keys[i].size() > WP_KEY_MAX);
  }
  expect_golden("nasty.json", text);
}

TEST(List, ForPeople) {
  std::ostringstream out;
  print_inventory(out, inventory());
  expect_golden("list.txt", out.str());
  expect_80_columns(out.str());
}

TEST(List, Nobody) {
  std::ostringstream out;
  print_inventory(out, {});
  EXPECT_EQ(out.str(), "no process carries probes of waitprobe\n");
}

TEST(List, ForPrograms) {
  const auto json = nlohmann::json::parse(json_text(inventory()));
  EXPECT_EQ(json["unreadable"], 3);
  EXPECT_EQ(json["carriers"][0]["armed"], true);
  EXPECT_EQ(json["carriers"][0]["keys"].size(), nasty_keys().size());
  EXPECT_TRUE(json["carriers"][2]["armed"].is_null());
  EXPECT_TRUE(json["carriers"][2]["keys"].is_null());
}

}  // namespace
}  // namespace waitprobe
