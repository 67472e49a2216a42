// SPDX-License-Identifier: MIT
//
// What programs read.
#include "src/view/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "src/view/escape.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

std::string json_text(const auto& value) {
  std::ostringstream out;
  print_json(out, value);
  return out.str();
}

TEST(Json, HoldsWhatTheContractSays) {
  const auto json = nlohmann::json::parse(json_text(with_losses()));
  EXPECT_EQ(json["waitprobe"], 1);
  EXPECT_EQ(json["time_unix_ns"], 1'700'000'000'000'000'000);
  EXPECT_EQ(json["elapsed_ns"], 2'000'000'000);
  EXPECT_EQ(json["coverage"]["observed"], 7);
  EXPECT_EQ(json["coverage"]["lost"], 66);
  EXPECT_EQ(json["clamped"], 10);
  EXPECT_EQ(json["abandoned"], 23);
  for (const LossRow& loss : all_losses) EXPECT_GT(json["losses"][loss.name], 0) << loss.name;
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

TEST(Json, HoldsTheQuantilesUnderTheirNames) {
  std::vector<std::uint64_t> durations;
  for (int i = 1; i <= 2'000; i++) durations.push_back(static_cast<std::uint64_t>(std::exp(i / 100.0)));
  const Series one = series("a", durations);
  const auto json = nlohmann::json::parse(json_text(snapshot({one})))["series"][0];
  EXPECT_EQ(json["p50_ns"], one.histogram.quantile_ns(0.5));
  EXPECT_EQ(json["p90_ns"], one.histogram.quantile_ns(0.9));
  EXPECT_EQ(json["p99_ns"], one.histogram.quantile_ns(0.99));
  EXPECT_EQ(json["p999_ns"], one.histogram.quantile_ns(0.999));
  EXPECT_LT(json["p50_ns"], json["p90_ns"]);
  EXPECT_LT(json["p90_ns"], json["p99_ns"]);
  EXPECT_LT(json["p99_ns"], json["p999_ns"]);
}

TEST(Json, NamesThatAreNotUtf8AreSpelledOut) {
  const auto json = nlohmann::json::parse(json_text(with_nasty_names()));
  EXPECT_EQ(json["series"][0]["comm"], "\x1b]0;evil\x07\\xff\xc2\x9b");
  EXPECT_EQ(json["attached_late"][0]["comm"], json["series"][0]["comm"]);
  EXPECT_EQ(json["attached_late"][0]["file"], "/opt/\x1b[2J\\xff\xe2\x80\xae.so");
  EXPECT_EQ(json["unverified"][0]["pid"], 18);
  EXPECT_EQ(json["unverified"][0]["file"], "/opt/\x1b[2J\\xff");
  EXPECT_EQ(json["unverified"][0]["why"], "\x1b[31mof a newer version");
  Inventory list;
  list.carriers = {{17, "a\xff", "/b\xff", true, WP_CLOCK_CYCLES, std::vector<std::string>{"c\xff"}}};
  const auto carrier = nlohmann::json::parse(json_text(list))["carriers"][0];
  EXPECT_EQ(carrier["comm"], "a\\xff");
  EXPECT_EQ(carrier["file"], "/b\\xff");
  EXPECT_EQ(carrier["keys"][0], "c\\xff");
}

TEST(Json, IsAsciiAndHarmlessToATerminal) {
  Inventory nasty = inventory();
  nasty.carriers[0].comm = "c1 \xc2\x9b\x7f";
  for (const std::string& text : {json_text(with_nasty_keys()), json_text(with_nasty_names()), json_text(nasty)}) {
    ASSERT_EQ(text.back(), '\n');
    for (const char c : text.substr(0, text.size() - 1)) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << text;
  }
  EXPECT_EQ(nlohmann::json::parse(json_text(nasty))["carriers"][0]["comm"], nasty.carriers[0].comm)
      << "and the text is the same";
}

TEST(Json, BucketsAreThoseThatHoldWaitsAndTheLastHasNoEnd) {
  const auto json = nlohmann::json::parse(json_text(snapshot({series("a", {5, 5, WP_BUCKET_END_NS * 2})})));
  const auto wanted = nlohmann::json::array(
      {{{"lo_ns", 5}, {"hi_ns", 6}, {"count", 2}}, {{"lo_ns", WP_BUCKET_END_NS}, {"hi_ns", UINT64_MAX}, {"count", 1}}});
  EXPECT_EQ(json["series"][0]["buckets"], wanted);
}

TEST(Json, SaysWhereExtremesAreBoundsAndOnlyThere) {
  const Snapshot all = snapshot({series("a", {5, 70}), series("b", {3})}, 2'000);
  const auto json = nlohmann::json::parse(json_text(interval(all, snapshot({series("a", {5})}, 1'000))));
  EXPECT_EQ(json["series"][0]["min_max_are_bounds"], true);
  EXPECT_FALSE(json["series"][1].contains("min_max_are_bounds"));
  EXPECT_FALSE(json.contains("attached_late"));
  EXPECT_FALSE(json.contains("unverified"));
}

TEST(Json, CoverageCountsKeysThatWereLeftOut) {
  Snapshot s = snapshot({series("a", {1, 2}), series("b", {3})});
  keep_keys(s, {"b"});
  EXPECT_EQ(nlohmann::json::parse(json_text(s))["coverage"]["observed"], 3);
}

TEST(Json, OfAList) {
  const auto json = nlohmann::json::parse(json_text(inventory()));
  EXPECT_EQ(json["unreadable"], 3);
  EXPECT_EQ(json["carriers"][0]["armed"], true);
  EXPECT_EQ(json["carriers"][0]["clock"], "cycles");
  EXPECT_TRUE(json["carriers"][2]["clock"].is_null());
  EXPECT_EQ(json["carriers"][0]["keys"].size(), nasty_keys().size());
  EXPECT_TRUE(json["carriers"][2]["armed"].is_null());
  EXPECT_TRUE(json["carriers"][2]["keys"].is_null());
  expect_golden("list.json", json_text(inventory()));
}

}  // namespace
}  // namespace waitprobe
