/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Of each series the slowest wait of each power of two, since the tool looked last: which thread had it, and when it ended. Only
 * where the tool wants to know. */
#ifndef WAITPROBE_BPF_EXEMPLARS_H
#define WAITPROBE_BPF_EXEMPLARS_H

#include "kernel.h"
#include "series.h"
#include "targets.h"
#include "tool_abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1); /* as many as `hists` where they are wanted */
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct wp_exemplars);
} exemplars SEC(".maps");

/* Of the records that the tool has put into its ring, in the order that they have there. */
struct wp_trace_id claimed_traces[WP_RING_RECORDS];

__u32 exemplar_round; /* raised by the tool: those of other rounds are as good as none */

/* As struct wp_exemplar has it. */
static __always_inline __u64 stop_of(const struct wp_record *record, __u64 offset_ns) {
  return record->counter & WP_REF_CYCLES ? record->stop | WP_STOP_CYCLES : record->stop - offset_ns;
}

/* Whether its records come from the current thread, and not from the tool. */
static __always_inline int is_from_thread(const struct wp_ring *ring) { return ring->address != 0; }

/* Where there are no ids, and in a page of them that is not resident, there is nothing to read, and the helper leaves zeros. Without
 * a look at either: the verifier goes through what is behind a branch for each of its ways. */
static __always_inline void copy_trace(struct wp_trace_id *to, const struct wp_ring *ring, __u64 number) {
  __u64 index = number & (ring->ring_records - 1);
  if (is_from_thread(ring)) {
    bpf_probe_read_user(to, sizeof(*to), (void *)(ring->traces + index * sizeof(*to)));
  } else {
    *to = claimed_traces[index % WP_RING_RECORDS];
  }
}

/* Keeps it if it is the slowest. Where another CPU is at the same series, it is passed over: it stands for others, and is counted
 * all the same. */
static __always_inline void keep_exemplar(__u32 slot, __u64 duration_ns, const struct wp_record *record, __u64 number,
                                          __u32 tid, const struct wp_ring *ring) {
  __u32 group = wp_exemplar_group(wp_bucket_of(duration_ns)), round = exemplar_round;
  struct wp_exemplars *of = bpf_map_lookup_elem(&exemplars, &slot);
  if (!of || group >= WP_EXEMPLARS) return;
  struct wp_exemplar *kept = &of->of[group];
  if (kept->round == round && kept->duration_ns >= duration_ns) return;
  if (__sync_val_compare_and_swap(&of->busy, 0, 1)) return;
  if (kept->round != round || kept->duration_ns < duration_ns) {
    kept->duration_ns = duration_ns;
    kept->stop = stop_of(record, ring->offset_ns);
    kept->tid = tid;
    kept->round = round;
    copy_trace(&kept->trace, ring, number);
  }
  __sync_lock_test_and_set(&of->busy, 0);
}

#endif
