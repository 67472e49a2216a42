// SPDX-License-Identifier: MIT
#include "src/view/units.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/bucket_oracle.h"

namespace waitprobe {
namespace {

TEST(Duration, ChangesItsUnitAtTheRightPlaces) {
  EXPECT_EQ(format_duration(0), "0ns");
  EXPECT_EQ(format_duration(999), "999ns");
  EXPECT_EQ(format_duration(1'000), "1.00us");
  EXPECT_EQ(format_duration(9'994), "9.99us");
  EXPECT_EQ(format_duration(9'996), "10.0us");
  EXPECT_EQ(format_duration(999'499), "999us");
  EXPECT_EQ(format_duration(999'500), "1.00ms");
  EXPECT_EQ(format_duration(59'900'000'000), "59.9s");
  EXPECT_EQ(format_duration(59'960'000'000), "1m00s");
  EXPECT_EQ(format_duration(60'000'000'000), "1m00s");
  EXPECT_EQ(format_duration(3'599'400'000'000), "59m59s");
  EXPECT_EQ(format_duration(3'600'000'000'000), "1h00m");
  EXPECT_EQ(format_duration(86'400'000'000'000), "1d00h");
}

TEST(TimeOfDay, OfAnIntervalHasMillisecondsWhereSecondsWouldNotTell) {
  const std::uint64_t from_ns = 1'700'000'000'123'456'789;
  const std::string seconds = format_interval(from_ns, from_ns + 1'001'000'000);
  EXPECT_EQ(seconds.size(), std::string("14:05:00 to 14:05:01").size()) << seconds;
  const std::string shorter = format_interval(from_ns, from_ns + 100'000'000);
  EXPECT_TRUE(shorter.ends_with(".223") && shorter.find(".123 to ") != std::string::npos) << shorter;
}

TEST(Duration, GoesOnToTheLastNanosecond) {
  EXPECT_EQ(format_duration(99'999 * std::uint64_t{86'400'000'000'000}), "99999d");
  EXPECT_EQ(format_duration(100'000 * std::uint64_t{86'400'000'000'000}), "273y");
  EXPECT_EQ(format_duration(UINT64_MAX), "584y");
}

TEST(Duration, NeverTakesMoreThanSixColumns) {
  for (const std::uint64_t ns : telling_durations()) ASSERT_LE(format_duration(ns).size(), 6U) << ns;
  for (std::uint64_t ns = 1; ns < UINT64_MAX / 2; ns += ns / 1000 + 1) ASSERT_LE(format_duration(ns).size(), 6U) << ns;
}

// What is shown, read back: it may be off by its own last digit, and no more.
TEST(Duration, IsTrueToThreeDigits) {
  const std::map<std::string, double> units = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  for (std::uint64_t ns = 1; ns < 59'000'000'000; ns += ns / 1000 + 1) {
    std::size_t digits = 0;
    const std::string text = format_duration(ns);
    const double shown = std::stod(text, &digits) * units.at(text.substr(digits));
    ASSERT_NEAR(shown, static_cast<double>(ns), 0.00501 * static_cast<double>(ns)) << text;
  }
}

TEST(Count, IsWholeUpToTenMillion) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(9'999'999), "9999999");
  EXPECT_EQ(format_count(10'000'000), "10.0M");
  for (const std::uint64_t count : telling_durations()) ASSERT_LE(format_count(count).size(), 7U) << count;
}

TEST(Rate, IsPerSecond) {
  EXPECT_EQ(format_rate(5, 2'000'000'000), "2.50");
  EXPECT_EQ(format_rate(1'000'000, 1'000'000'000), "1.00M");
  EXPECT_EQ(format_rate(1234, 1'000'000'000), "1234");
  EXPECT_EQ(format_rate(12'345, 1'000'000'000), "12.3k");
  EXPECT_EQ(format_rate(5, 0), "-");
  for (const std::uint64_t count : telling_durations()) ASSERT_LE(format_rate(count, 1'000'000'000).size(), 6U) << count;
}

}  // namespace
}  // namespace waitprobe
