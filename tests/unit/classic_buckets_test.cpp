// SPDX-License-Identifier: MIT
#include "src/export/classic_buckets.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/unit/bucket_oracle.h"
#include "tests/unit/metric_samples.h"

namespace waitprobe {
namespace {

std::string refused_because(const std::string& text) {
  const auto bounds = parse_classic_bounds(text);
  return bounds ? "accepted" : bounds.error().on + ": " + bounds.error().why;
}

TEST(ClassicBuckets, ThereAreAtMostTwelveByDefault) {
  EXPECT_LE(default_classic_bounds().size() + 1, 12U);
  EXPECT_TRUE(std::is_sorted(default_classic_bounds().begin(), default_classic_bounds().end()));
}

TEST(ClassicBuckets, EachBoundIsOneOfTheExactBuckets) {
  for (int bound = least_classic_bound; bound <= greatest_classic_bound; bound++) {
    const auto at_most = static_cast<std::uint64_t>(std::floor(std::ldexp(1e9, bound)));  // whole nanoseconds up to it
    const auto counts = cumulative_counts(metric_histogram({at_most, at_most + 1}), {bound});
    EXPECT_EQ(counts, std::vector<std::uint64_t>{1}) << bound;
  }
}

TEST(ClassicBuckets, BoundsAreWrittenAsPrometheusWritesThem) {
  EXPECT_EQ(classic_bound_text(-10), "0.0009765625");
  EXPECT_EQ(classic_bound_text(-13), "0.0001220703125");
  EXPECT_EQ(classic_bound_text(-14), "6.103515625e-05");
  EXPECT_EQ(classic_bound_text(-20), "9.5367431640625e-07");
  EXPECT_EQ(classic_bound_text(0), "1.0");
  EXPECT_EQ(classic_bound_text(13), "8192.0");
  for (int bound = least_classic_bound; bound <= greatest_classic_bound; bound++) {
    EXPECT_EQ(std::stod(classic_bound_text(bound)), std::ldexp(1.0, bound));
  }
}

TEST(ClassicBuckets, AChoiceIsParsed) {
  EXPECT_EQ(*parse_classic_bounds("16, 0.5,2^-10,1,1,4e0"), (ClassicBounds{-10, -1, 0, 2, 4}));
  EXPECT_EQ(*parse_classic_bounds("2^-30,2^13"), (ClassicBounds{-30, 13}));
  EXPECT_EQ(*parse_classic_bounds("0.0009765625"), ClassicBounds{-10});
}

TEST(ClassicBuckets, OtherBoundsAreRefusedWithTheNextOnes) {
  EXPECT_EQ(refused_because("1,0.001"),
            "'0.001': not a power of two of a second; the next ones are 2^-10 (0.0009765625) and 2^-9 (0.001953125)");
  EXPECT_EQ(refused_because(""), "'': not a number of seconds");
  EXPECT_EQ(refused_because("1,,2"), "'': not a number of seconds");
  EXPECT_EQ(refused_because("1s"), "'1s': not a number of seconds");
  EXPECT_EQ(refused_because("nan"), "'nan': not a number of seconds");
  EXPECT_EQ(refused_because("-1"), "'-1': out of range");
  EXPECT_EQ(refused_because("0"), "'0': out of range");
  EXPECT_EQ(refused_because("2^14"), "'2^14': out of range");
  EXPECT_EQ(refused_because("2^-31"), "'2^-31': out of range");
  EXPECT_EQ(refused_because("2^x"), "'2^x': not a power of two");
  EXPECT_EQ(refused_because("16384"), "'16384': out of range");
}

TEST(ClassicBuckets, TheSlowestOfABucketIsItsExemplar) {
  MetricSample sample = wait_sample("k", {1});
  for (const std::uint64_t ns : {1'000'000ULL, 900'000'000ULL, 700'000'000ULL, 3'000'000'000ULL})
    add_exemplar(sample, exemplar(ns));
  const auto slowest = classic_exemplars(sample, {-1, 0});
  ASSERT_EQ(slowest.size(), 3U);
  EXPECT_EQ(slowest.at(0)->duration_ns, 1'000'000U);
  EXPECT_EQ(slowest.at(1)->duration_ns, 900'000'000U);
  EXPECT_EQ(slowest.at(2)->duration_ns, 3'000'000'000U);
}

}  // namespace
}  // namespace waitprobe
