// SPDX-License-Identifier: MIT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "bpf/abi.h"
#include "bucket_in_bpf.skel.h"
#include "tests/unit/bucket_in_c.h"
#include "tests/unit/bucket_oracle.h"

namespace {

// Obviously right, and slow: the bounds of all buckets, one after the other, as the comment of bucket.h describes them.
std::vector<std::uint64_t> bounds() {
  std::vector<std::uint64_t> lo;
  for (std::uint64_t ns = 0; ns < 8; ns++) lo.push_back(ns);
  for (std::uint64_t power = 8; power < WP_BUCKET_END_NS; power *= 2) {
    for (std::uint64_t eighth = 0; eighth < 8; eighth++) lo.push_back(power + eighth * power / 8);
  }
  lo.push_back(WP_BUCKET_END_NS);
  return lo;
}

std::uint32_t oracle(std::uint64_t ns) {
  const auto lo = bounds();
  std::uint32_t bucket = 0;
  while (bucket + 1 < lo.size() && lo[bucket + 1] <= ns) bucket++;
  return bucket;
}

TEST(Bucket, ThereAreAsManyAsTheConstantSays) { EXPECT_EQ(bounds().size(), WP_BUCKET_CNT); }

TEST(Bucket, EveryDurationFallsWhereTheOracleSays) {
  for (const std::uint64_t ns : telling_durations()) ASSERT_EQ(wp_bucket_of(ns), oracle(ns)) << ns;
}

TEST(Bucket, BoundsAreThoseOfTheOracleAndHalfOpen) {
  const auto lo = bounds();
  for (std::uint32_t i = 0; i < WP_BUCKET_CNT; i++) {
    ASSERT_EQ(wp_bucket_lo(i), lo[i]);
    ASSERT_EQ(wp_bucket_hi(i), i + 1 < lo.size() ? lo[i + 1] : ~std::uint64_t{0});
    ASSERT_EQ(wp_bucket_of(wp_bucket_lo(i)), i) << "the lower bound belongs to the bucket";
    if (i + 1 < lo.size()) {
      ASSERT_EQ(wp_bucket_of(wp_bucket_hi(i)), i + 1) << "the upper one does not";
    }
  }
}

TEST(Bucket, TheMiddleIsOffBySixAndAQuarterPercentAtTheMost) {
  for (const std::uint64_t ns : telling_durations()) {
    if (ns == 0 || ns >= WP_BUCKET_END_NS) continue;
    const std::uint32_t i = wp_bucket_of(ns);
    const double middle = static_cast<double>(wp_bucket_lo(i)) + static_cast<double>((wp_bucket_hi(i) - wp_bucket_lo(i)) / 2);
    ASSERT_LE(std::abs(middle - static_cast<double>(ns)), 0.0625 * static_cast<double>(ns)) << ns;
  }
}

TEST(Bucket, CAgreesWithCxx) {
  for (const std::uint64_t ns : telling_durations()) ASSERT_EQ(bucket_of_in_c(ns), wp_bucket_of(ns)) << ns;
  for (std::uint32_t i = 0; i < WP_BUCKET_CNT; i++) {
    ASSERT_EQ(bucket_lo_in_c(i), wp_bucket_lo(i));
    ASSERT_EQ(bucket_hi_in_c(i), wp_bucket_hi(i));
  }
}

TEST(Bucket, TheKernelAgreesWithCxx) {
  const std::unique_ptr<bucket_in_bpf_bpf, decltype(&bucket_in_bpf_bpf__destroy)> skeleton(bucket_in_bpf_bpf__open_and_load(),
                                                                                           bucket_in_bpf_bpf__destroy);
  ASSERT_NE(skeleton, nullptr) << "a BPF program cannot be loaded: " << std::strerror(errno)
                               << (errno == EPERM ? "; this test must run as root" : "");
  struct {
    std::uint64_t duration_ns, lo_ns, hi_ns;
    std::uint32_t bucket, pad;
  } question = {};
  bpf_test_run_opts options = {};
  options.sz = sizeof options;
  options.ctx_in = &question;
  options.ctx_size_in = sizeof question;
  for (const std::uint64_t ns : telling_durations()) {
    question = {ns, 0, 0, WP_BUCKET_CNT, 0};
    ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(skeleton->progs.answer), &options), 0);
    ASSERT_EQ(question.bucket, wp_bucket_of(ns)) << ns;
    ASSERT_EQ(question.lo_ns, wp_bucket_lo(question.bucket)) << ns;
    ASSERT_EQ(question.hi_ns, wp_bucket_hi(question.bucket)) << ns;
  }
}

}  // namespace
