/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Histograms of waits, one hit of probe wait_stop for each wait. */
#include "kernel.h"
/* kernel.h first: usdt.bpf.h wants its types. This header and the libbpf that loads the object must be of one version. */
#include <stdbool.h>
#define BPF_USDT_MAX_SPEC_CNT 2048 /* files that can be attached to at once */
#define BPF_USDT_MAX_IP_CNT 1      /* not used on kernels with BPF cookies, and those are all that are supported */
#include <bpf/usdt.bpf.h>

#include "abi.h"
#include "series.h"
#include "targets.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* What stands in front of the key that a probe was given. */
static __always_inline int read_counter(__u64 key_address, struct counter_ref *out) {
  struct wp_counter counter;
  __u64 address = key_address - sizeof(counter);
  if (bpf_probe_read_user(&counter, sizeof(counter), (void *)address)) return -1;
  struct wp_arena arena;
  if (bpf_probe_read_user(&arena, sizeof(arena), (void *)counter.arena)) return -1;
  out->key_address = key_address;
  out->incarnation = arena.incarnation;
  out->id = counter.id;
  out->key_len = counter.key_len;
  return 0;
}

static __noinline int count_stop(struct pt_regs *ctx) {
  if (!is_target(bpf_get_current_pid_tgid() >> 32)) return 0;
  long key_address = 0, duration_ns = 0;
  if (bpf_usdt_arg(ctx, 0, &key_address) || bpf_usdt_arg(ctx, 2, &duration_ns)) {
    __sync_fetch_and_add(&losses.unreadable, 1);
    return 0;
  }
  struct counter_ref counter = {};
  if (read_counter(key_address, &counter)) {
    __sync_fetch_and_add(&losses.unreadable, 1);
    return 0;
  }
  add_wait(&counter, bpf_get_smp_processor_id(), duration_ns);
  return 0;
}

WP_USDT(on_wait_stop, count_stop)
