/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * bpf/bucket.h as the kernel runs it: maps one duration each time it is called. */
#include "bpf/kernel.h"

#include "bpf/abi.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct bucket_question {
  __u64 duration_ns;
  __u64 lo_ns;
  __u64 hi_ns;
  __u32 bucket;
  __u32 pad;
};

SEC("syscall") int answer(struct bucket_question *question) {
  question->bucket = wp_bucket_of(question->duration_ns);
  question->lo_ns = wp_bucket_lo(question->bucket);
  question->hi_ns = wp_bucket_hi(question->bucket);
  return 0;
}
