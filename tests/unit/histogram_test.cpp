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

TEST(Histogram, QuantilesAreWithin4_43PercentOfTheSortedTruth) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; round++) {
    std::vector<std::uint64_t> durations(1 + random() % 300);
    for (std::uint64_t& ns : durations) ns = (random() >> (21 + random() % 40));
    const Histogram h(totals_of(durations));
    std::sort(durations.begin(), durations.end());
    for (const double q : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(durations.size())));
      const auto truth = static_cast<double>(durations[std::max<std::size_t>(rank, 1) - 1]);
      ASSERT_NEAR(static_cast<double>(h.quantile_ns(q)), truth, 0.0443 * truth + 0.5)
          << "q=" << q << " of " << durations.size();
      ASSERT_GE(h.quantile_ns(q), h.min_ns());
      ASSERT_LE(h.quantile_ns(q), h.max_ns());
    }
  }
}

TEST(Histogram, AWaitBeyondTheLastBucketIsShownByItsGreatest) {
  const Histogram h(totals_of({WP_BUCKET_END_NS * 3}));
  EXPECT_EQ(h.quantile_ns(0.5), WP_BUCKET_END_NS * 3);
  EXPECT_EQ(Histogram(totals_of({WP_BUCKET_END_NS, UINT64_MAX})).quantile_ns(1), UINT64_MAX);
}

TEST(Histogram, AddsUpFromNothing) {
  Histogram sum;
  sum.add(Histogram(totals_of({70, 80})));
  EXPECT_EQ(sum.min_ns(), 70U);
  EXPECT_EQ(sum.max_ns(), 80U);
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

TEST(Histogram, AnIntervalIsBoundedByTheExtremesOfAllTimeWhereTheyAreCloser) {
  const Histogram between = Histogram(totals_of({1'000, 1'010, 70'001})).since(Histogram(totals_of({1'000})));
  EXPECT_EQ(between.min_ns(), 1'000U) << "and not 954, where the bucket begins";
  EXPECT_EQ(between.max_ns(), 70'001U) << "and not 72,583, where the bucket ends";
}

TEST(Histogram, AnIntervalWithWaitsBeyondTheLastBucketIsBoundedByTheGreatest) {
  const Histogram between = Histogram(totals_of({1, WP_BUCKET_END_NS * 3})).since(Histogram(totals_of({1})));
  EXPECT_EQ(between.max_ns(), WP_BUCKET_END_NS * 3);
  EXPECT_EQ(between.quantile_ns(0.5), WP_BUCKET_END_NS * 3);
}

TEST(Histogram, WhatWentBackCountsAsZero) {
  const Histogram back = Histogram(totals_of({3, 500})).since(Histogram(totals_of({3, 3, 70'000})));
  EXPECT_EQ(back.count(), 1U);
  EXPECT_EQ(back.total_ns(), 0U);
  EXPECT_EQ(wp_bucket_of(back.min_ns()), wp_bucket_of(500));
  EXPECT_EQ(Histogram().since(back).count(), 0U);
}

TEST(Histogram, AnEmptyIntervalHasNoExtremes) {
  const Histogram h(totals_of({1'000}));
  EXPECT_EQ(h.since(h).min_ns(), 0U);
  EXPECT_EQ(h.since(h).max_ns(), 0U);
  EXPECT_EQ(h.since(h).quantile_ns(0.99), 0U);
}

TEST(Histogram, ASumWithBoundsHasBounds) {
  const Histogram exact(totals_of({5}));
  Histogram sum = exact;
  sum.add(Histogram(totals_of({5, 70})).since(exact));
  EXPECT_TRUE(sum.min_max_are_bounds());
}

// The kernel adds to the bucket first, then to the total, then to the extremes; a reader may come in between.
void expect_sane(const wp_hist& torn, std::uint64_t least_ns, std::uint64_t greatest_ns) {
  const Histogram h(torn);
  EXPECT_TRUE(h.min_max_are_bounds());
  EXPECT_LE(h.min_ns(), least_ns);
  EXPECT_EQ(wp_bucket_of(h.min_ns()), wp_bucket_of(least_ns));
  EXPECT_GE(h.max_ns(), greatest_ns);
  EXPECT_EQ(wp_bucket_of(h.max_ns()), wp_bucket_of(greatest_ns));
  EXPECT_GE(h.quantile_ns(0.001), h.min_ns());
  EXPECT_LE(h.quantile_ns(1), h.max_ns());
}

TEST(Histogram, ATornReadOfTheFirstWaitHasBounds) {
  wp_hist totals = totals_of({1'000});
  totals.total_ns = totals.inverted_min_ns = totals.max_ns = 0;
  expect_sane(totals, 1'000, 1'000);
}

TEST(Histogram, ATornReadOfALaterWaitHasBounds) {
  wp_hist totals = totals_of({1'000});
  totals.bucket[wp_bucket_of(50)]++;
  expect_sane(totals, 50, 1'000);
  totals = totals_of({1'000});
  totals.bucket[wp_bucket_of(70'000)]++;
  expect_sane(totals, 1'000, 70'000);
}

TEST(Histogram, ATornReadBeyondTheLastBucketDoesNotInventAGreatest) {
  wp_hist totals = totals_of({1'000});
  totals.bucket[WP_BUCKETS - 1]++;
  EXPECT_EQ(Histogram(totals).max_ns(), WP_BUCKET_END_NS);
}

}  // namespace
}  // namespace waitprobe
