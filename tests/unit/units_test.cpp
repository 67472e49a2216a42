// SPDX-License-Identifier: MIT
#include "src/view/units.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(format_duration(60'000'000'000), "1m00s");
  EXPECT_EQ(format_duration(3'599'400'000'000), "59m59s");
  EXPECT_EQ(format_duration(3'600'000'000'000), "1h00m");
  EXPECT_EQ(format_duration(86'400'000'000'000), "1d00h");
}

TEST(Duration, NeverTakesMoreThanSixColumnsBelowAThousandYears) {
  for (const std::uint64_t ns : telling_durations()) ASSERT_LE(format_duration(ns).size(), 7U) << ns;
  for (std::uint64_t ns = 1; ns < 86'400'000'000'000; ns = ns * 11 / 10 + 1) ASSERT_LE(format_duration(ns).size(), 6U) << ns;
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
  EXPECT_EQ(format_rate(5, 0), "-");
}

}  // namespace
}  // namespace waitprobe
