/* SPDX-License-Identifier: MIT
 *
 * What it costs to find the bucket of a record, eight records at a time as bpf/batches.h does: in ours, and in log-linear ones, which
 * the rest of the world does not have. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bucket.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define DURATIONS 4096
__u64 durations[DURATIONS];
__u64 count[512];

static __always_inline __u32 log_linear_bucket_of(__u64 v) {
  if (v < 8) return v;
  if (v >= 1ULL << 43) return 328;
  __u32 e = 0;
  if (v >> 24) e = 24;
  if (v >> e >> 12) e += 12;
  if (v >> e >> 6) e += 6;
  e += wp_octave(v >> e) >> 3;
  return ((e - 2) << 3) + (__u32)(v >> (e - 3) & 7);
}

#define EIGHT(name, bucket_of)                                                                                            \
  static long add_##name(__u32 round, void *unused) {                                                                     \
    _Pragma("unroll") for (int i = 0; i < 8; i++) count[bucket_of(durations[(round * 8 + i) & (DURATIONS - 1)]) & 511]++; \
    return 0;                                                                                                             \
  }                                                                                                                       \
  SEC("syscall") int name(void *ctx) {                                                                                    \
    bpf_loop(1 << 20, add_##name, 0, 0);                                                                                  \
    return 0;                                                                                                             \
  }
EIGHT(log_linear, log_linear_bucket_of)
EIGHT(schema_3, wp_bucket_of)
