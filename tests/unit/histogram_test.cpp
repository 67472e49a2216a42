// SPDX-License-Identifier: MIT
#include "src/model/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram empty(totals_of({}));
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.min_ns(), 0U);
  EXPECT_EQ(empty.max_ns(), 0U);
  EXPECT_EQ(empty.quantile_ns(0.5), 0U);
}

TEST(Histogram, KeepsCountTotalAndExtremesExactly) {
  const Histogram h(totals_of({7, 1'000'003, 999, 0}));
  EXPECT_EQ(h.count(), 4U);
  EXPECT_EQ(h.total_ns(), 1'001'009U);
  EXPECT_EQ(h.min_ns(), 0U);
  EXPECT_EQ(h.max_ns(), 1'000'003U);
  EXPECT_FALSE(h.min_max_are_bounds());
}

TEST(Histogram, QuantilesAreWithinSixAndAQuarterPercentOfTheSortedTruth) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; round++) {
    std::vector<std::uint64_t> durations(1 + random() % 300);
    for (std::uint64_t& ns : durations) ns = (random() >> (21 + random() % 40));
    const Histogram h(totals_of(durations));
    std::sort(durations.begin(), durations.end());
    for (const double q : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(durations.size())));
      const auto truth = static_cast<double>(durations[std::max<std::size_t>(rank, 1) - 1]);
      ASSERT_NEAR(static_cast<double>(h.quantile_ns(q)), truth, 0.0625 * truth) << "q=" << q << " of " << durations.size();
      ASSERT_GE(h.quantile_ns(q), h.min_ns());
      ASSERT_LE(h.quantile_ns(q), h.max_ns());
    }
  }
}

TEST(Histogram, AWaitBeyondTheLastBucketIsShownByItsGreatest) {
  const Histogram h(totals_of({WP_BUCKET_END_NS * 3}));
  EXPECT_EQ(h.quantile_ns(0.5), WP_BUCKET_END_NS * 3);
}

TEST(Histogram, AddsUpAsIfAllHadBeenCountedInOne) {
  Histogram sum(totals_of({5, 70}));
  sum.add(Histogram(totals_of({})));
  sum.add(Histogram(totals_of({3, 9'000})));
  const Histogram one(totals_of({5, 70, 3, 9'000}));
  EXPECT_EQ(sum.count(), one.count());
  EXPECT_EQ(sum.total_ns(), one.total_ns());
  EXPECT_EQ(sum.min_ns(), one.min_ns());
  EXPECT_EQ(sum.max_ns(), one.max_ns());
}

TEST(Histogram, AnIntervalIsADifferenceWhoseExtremesAreBoundsOfBuckets) {
  const Histogram early(totals_of({3, 1'000'000}));
  const Histogram late(totals_of({3, 1'000'000, 500, 70'000}));
  const Histogram between = late.since(early);
  EXPECT_EQ(between.count(), 2U);
  EXPECT_EQ(between.total_ns(), 70'500U);
  EXPECT_TRUE(between.min_max_are_bounds());
  EXPECT_LE(between.min_ns(), 500U);
  EXPECT_EQ(between.min_ns(), wp_bucket_lo(wp_bucket_of(500)));
  EXPECT_EQ(between.max_ns(), wp_bucket_hi(wp_bucket_of(70'000)) - 1);
  EXPECT_EQ(late.since(late).count(), 0U);
}

TEST(Histogram, AnIntervalFromTheStartIsExact) {
  const Histogram h(totals_of({3, 500}));
  EXPECT_FALSE(h.since(Histogram()).min_max_are_bounds());
  EXPECT_EQ(h.since(Histogram()).max_ns(), 500U);
}

// The kernel adds to the bucket first, then to the total, then to the extremes; a reader may come in between.
TEST(Histogram, ATornReadGivesExtremesInsideTheBucketsThatAreThere) {
  wp_hist totals = totals_of({1'000});
  totals.inverted_min_ns = 0;
  totals.max_ns = 0;
  totals.total_ns = 0;
  const Histogram h(totals);
  EXPECT_EQ(wp_bucket_of(h.min_ns()), wp_bucket_of(1'000));
  EXPECT_EQ(wp_bucket_of(h.max_ns()), wp_bucket_of(1'000));
  EXPECT_EQ(wp_bucket_of(h.quantile_ns(0.5)), wp_bucket_of(1'000));
}

}  // namespace
}  // namespace waitprobe
