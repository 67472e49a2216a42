// SPDX-License-Identifier: MIT
#include "src/model/metrics.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

TEST(MetricHistogram, IsTheSumOfWhatWasAdded) {
  std::mt19937_64 random(3);
  MetricHistogram sum;
  std::vector<std::uint64_t> all;
  for (int round = 0; round < 50; round++) {
    std::vector<std::uint64_t> some(random() % 20);
    for (std::uint64_t& ns : some) ns = random() >> (random() % 64) >> 20;
    all.insert(all.end(), some.begin(), some.end());
    sum.add(Histogram(totals_of(some)));
    const SparseHistogram expected = Histogram(totals_of(all)).sparse();
    ASSERT_EQ(sum.buckets, expected.buckets);
    ASSERT_EQ(sum.sum_s * 1'000'000'000 + sum.sum_ns, expected.total_ns);
    ASSERT_EQ(sum.count(), all.size());
  }
}

TEST(MetricHistogram, ItsSumDoesNotOverflow) {
  wp_hist year = totals_of({1});
  year.total_ns = UINT64_MAX;
  MetricHistogram sum;
  for (int i = 0; i < 1'000; i++) sum.add(Histogram(year));
  EXPECT_EQ(sum.sum_s, 18'446'744'073'709U) << "18446744073.709551615 s a thousand times";
  EXPECT_EQ(sum.sum_ns, 551'615'000U);
}

}  // namespace
}  // namespace waitprobe
