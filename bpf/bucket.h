/* SPDX-License-Identifier: MIT
 *
 * Nanoseconds to a histogram bucket and back, one code for BPF, C and C++.
 *
 * Log-linear: 8 buckets for each power of two. Bucket i holds the durations [wp_bucket_lo(i), wp_bucket_hi(i)). Below 16 ns
 * each value has a bucket of its own; above, a bucket is an eighth of its power of two wide, so its middle is off by 6.25 %
 * at the most. The last bucket, WP_BUCKETS - 1, holds all from 2^43 ns (2.4 hours) on and has no upper bound.
 * Tested against a naive oracle by tests/unit/bucket_test.cpp. */
#ifndef WAITPROBE_BPF_BUCKET_H
#define WAITPROBE_BPF_BUCKET_H

#include "types.h"

#define WP_BUCKET_CNT 329
#define WP_BUCKET_END_NS (1ULL << 43)

/* Position of the highest bit. REQUIRES: v != 0. Not __builtin_clzll: BPF has no instruction for it, and clang's expansion is
 * longer than this. Short waits are short ways through it. */
static inline __u32 wp_log2(__u64 v) {
  static const __u8 position[256] = {
      0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5,
      5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6,
      6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6,
      6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
      7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
      7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
      7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  };
  __u32 e = 0;
  if (v >> 32) {
    e = 32;
    v >>= 32;
  }
  if (v >> 16) {
    e += 16;
    v >>= 16;
  }
  if (v >> 8) {
    e += 8;
    v >>= 8;
  }
  return e + position[v & 255];
}

static inline __u32 wp_bucket_of(__u64 duration_ns) {
  if (duration_ns < 8) return (__u32)duration_ns;
  if (duration_ns >= WP_BUCKET_END_NS) return WP_BUCKET_CNT - 1;
  __u32 e = wp_log2(duration_ns);
  return ((e - 2) << 3) + (__u32)((duration_ns >> (e - 3)) & 7);
}

/* The least duration of bucket i. REQUIRES: i < WP_BUCKET_CNT. */
static inline __u64 wp_bucket_lo(__u32 i) {
  if (i < 8) return i;
  return (__u64)(8 + (i & 7)) << ((i >> 3) - 1);
}

/* One more than the greatest duration of bucket i; ~0 for the last. REQUIRES: i < WP_BUCKET_CNT. */
static inline __u64 wp_bucket_hi(__u32 i) { return i == WP_BUCKET_CNT - 1 ? ~0ULL : wp_bucket_lo(i + 1); }

#endif
