// SPDX-License-Identifier: MIT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "bpf/abi.h"
#include "bucket_in_bpf.skel.h"
#include "tests/unit/bucket_in_c.h"
#include "tests/unit/bucket_oracle.h"

namespace {

// Obviously right, and slow: the greatest durations of all buckets but the last, by the definition in bucket.h.
std::vector<std::uint64_t> bounds() {
  std::vector<std::uint64_t> greatest = {0};
  for (int k = -239; k <= 104; k++) {
    const long double ns = 1e9L * std::exp2(static_cast<long double>(k) / 8);
    // Far enough from a whole number for any rounding error, where it is not exact.
    if (k % 8 != 0) {
      EXPECT_GT(std::abs(ns - std::round(ns)), 1e-6L) << k;
    }
    greatest.push_back(static_cast<std::uint64_t>(std::floor(ns)));
  }
  return greatest;
}

std::uint32_t oracle(std::uint64_t ns) {
  static const std::vector<std::uint64_t> greatest = bounds();
  std::uint32_t bucket = 0;
  while (bucket < greatest.size() && ns > greatest[bucket]) bucket++;
  return bucket;
}

TEST(Bucket, ThereAreAsManyAsTheConstantsSay) {
  EXPECT_EQ(bounds().size() + 1, WP_BUCKET_CNT);
  EXPECT_EQ(bounds()[WP_BUCKET_OF_1S], 1'000'000'000U);
  EXPECT_EQ(bounds().back() + 1, WP_BUCKET_END_NS);
}

TEST(Bucket, EveryDurationFallsWhereTheOracleSays) {
  for (const std::uint64_t ns : telling_durations()) ASSERT_EQ(wp_bucket_of(ns), oracle(ns)) << ns;
}

TEST(Bucket, EveryBoundIsTheGreatestDurationOfItsBucket) {
  const auto greatest = bounds();
  for (std::uint32_t i = 0; i < greatest.size(); i++) {
    for (const std::uint64_t ns : {greatest[i] - (greatest[i] != 0), greatest[i], greatest[i] + 1}) {
      ASSERT_EQ(wp_bucket_of(ns), oracle(ns)) << ns;
    }
    ASSERT_EQ(wp_bucket_hi(i), greatest[i] + 1);
    ASSERT_EQ(wp_bucket_lo(i), i == 0 ? 0 : greatest[i - 1] + 1);
  }
  ASSERT_EQ(wp_bucket_lo(WP_BUCKET_CNT - 1), WP_BUCKET_END_NS);
  ASSERT_EQ(wp_bucket_hi(WP_BUCKET_CNT - 1), UINT64_MAX);
}

TEST(Bucket, TheGeometricMiddleIsOffBy4_43PercentAtTheMost) {
  for (const std::uint64_t ns : telling_durations()) {
    if (ns == 0 || ns >= WP_BUCKET_END_NS) continue;
    const std::uint32_t i = wp_bucket_of(ns);
    const double middle = std::sqrt(static_cast<double>(wp_bucket_lo(i)) * static_cast<double>(wp_bucket_hi(i) - 1));
    ASSERT_LE(std::abs(middle - static_cast<double>(ns)), 0.0443 * static_cast<double>(ns)) << ns;
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
