/* SPDX-License-Identifier: MIT
 *
 * Nanoseconds to a histogram bucket and back, one code for BPF, C and C++.
 *
 * Eight logarithmic buckets for each power of two, on the grid of seconds: bucket i holds the durations above 2^((i-241)/8) s and
 * up to 2^((i-240)/8) s. These are the buckets of schema 3 of Prometheus' native histograms and of scale 3 of OTLP's exponential
 * histograms, so a histogram can be passed on as it was counted. A bucket is 9.05 % wide, so its geometric middle is off by at
 * most 4.43 %. Bucket 0 holds 0 ns, and the last one everything above 2^13 s (2.3 hours).
 * Tested against integer arithmetic at every bound by tests/unit/bucket_test.cpp. */
#ifndef WAITPROBE_BPF_BUCKET_H
#define WAITPROBE_BPF_BUCKET_H

#include "types.h"

#define WP_BUCKET_CNT 346
#define WP_BUCKET_OF_1S 240               /* whose upper bound is 2^0 s */
#define WP_BUCKET_END_NS 8192000000001ULL /* the least duration of the last bucket */

/* 1 if v is greater than `bound`, else 0. REQUIRES: both are below 2^63. Without a branch: the verifier goes through each way that
 * there is through eight buckets in a row. */
static inline __u32 wp_exceeds(__u64 v, __u64 bound) { return (__u32)((bound - v) >> 63); }

/* Of a number below 64: 0 for 0, else one more than eight times the position of its highest bit. Not __builtin_clzll: BPF has no
 * instruction for it, and clang's expansion is longer than the look-up. */
static inline __u32 wp_octave(__u32 v) {
  static const __u8 octave[64] = {0,  1,  9,  9,  17, 17, 17, 17, 25, 25, 25, 25, 25, 25, 25, 25, 33, 33, 33, 33, 33, 33,
                                  33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41,
                                  41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41};
  return octave[v & 63];
}

/* A duration is shifted so that its highest bit is bit 63, and then compared with one bound: of the 16 equal cells that a power of
 * two is divided into, none has more than one bound in it. Each word is that bound without its low 20 bits, which such durations do
 * not have; or, in a cell without a bound, what no duration reaches. Its low four bits count the bounds below the cell.
 * REQUIRES: duration_ns < WP_BUCKET_END_NS. */
static inline __u32 wp_bucket_before_last(__u64 duration_ns) {
  static const __u64 cell[16] = {
      0x81ffa7a954900000ULL, 0x8dc3b89601600001ULL, 0xfffffffffffffff2ULL, 0x9a9867054d500002ULL,
      0xfffffffffffffff3ULL, 0xa8965f74bf000003ULL, 0xb7d88a12d0d00004ULL, 0xfffffffffffffff5ULL,
      0xfffffffffffffff5ULL, 0xc87c3e7d03c00005ULL, 0xfffffffffffffff6ULL, 0xdaa17c2cd1900006ULL,
      0xfffffffffffffff7ULL, 0xee6b280000000007ULL, 0xfffffffffffffff8ULL, 0xfffffffffffffff8ULL,
  };
  __u32 e = wp_exceeds(duration_ns, (1U << 24) - 1) * 24;
  e += wp_exceeds(duration_ns >> e, (1U << 12) - 1) * 12;
  e += wp_exceeds(duration_ns >> e, (1U << 6) - 1) * 6;
  __u32 octave = wp_octave((__u32)(duration_ns >> e));
  __u64 shifted = duration_ns << (63 - e - (octave >> 3));
  __u64 bound = cell[(shifted >> 59) & 15];
  return 8 * e + octave + (__u32)(bound & 15) + wp_exceeds(shifted >> 1, bound >> 1);
}

static inline __u32 wp_bucket_of(__u64 duration_ns) {
  return duration_ns < WP_BUCKET_END_NS ? wp_bucket_before_last(duration_ns) : WP_BUCKET_CNT - 1;
}

/* One more than the greatest duration of bucket i; ~0 for the last. REQUIRES: i < WP_BUCKET_CNT. */
static inline __u64 wp_bucket_hi(__u32 i) {
  /* 2^(13 + n/8) s. Half a bound, rounded down, is the bound an octave lower, rounded down. */
  static const __u64 bound_ns[8] = {8192000000000ULL,  8933439345993ULL,  9741984686102ULL,  10623709631701ULL,
                                    11585237502960ULL, 12633791081741ULL, 13777246867516ULL, 15024194243865ULL};
  if (i == WP_BUCKET_CNT - 1) return ~0ULL;
  return i == 0 ? 1 : (bound_ns[i & 7] >> (43 - (i >> 3))) + 1;
}

/* The least duration of bucket i. Below 12 ns, some buckets hold no whole number of nanoseconds: then it is wp_bucket_hi(i).
 * REQUIRES: i < WP_BUCKET_CNT. */
static inline __u64 wp_bucket_lo(__u32 i) { return i == 0 ? 0 : wp_bucket_hi(i - 1); }

#endif
