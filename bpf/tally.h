/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Where a ring is added up before it goes into the totals, which are shared: an atomic addition to them costs as much as all the
 * rest of a record. */
#ifndef WAITPROBE_BPF_TALLY_H
#define WAITPROBE_BPF_TALLY_H

#include "exemplars.h"
#include "kernel.h"
#include "series.h"
#include "targets.h"
#include "tool_abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_TALLIES);
  __type(key, __u32);
  __type(value, struct wp_tally);
} tallies SEC(".maps");

/* Null: there is none near that nobody uses. */
static __always_inline struct wp_tally *own_tally(void) {
  __u32 index = bpf_get_smp_processor_id() % WP_TALLIES;
  struct wp_tally *tally = bpf_map_lookup_elem(&tallies, &index);
  return tally && __sync_val_compare_and_swap(&tally->busy, 0, 1) == 0 ? tally : NULL;
}

/* Raises *at to `value` unless it is higher. REQUIRES: both are below 2^63. Without a branch, as wp_exceeds(). */
static __always_inline void raise_own(__u64 *at, __u64 value) {
  __u64 before = *at;
  *at = before + ((value - before) & -(__u64)wp_exceeds(value, before));
}

/* A sum of the tally on its way into the totals. */
struct sum {
  struct wp_tally *tally;
  struct wp_hist *hist; /* null: of a counter that cannot be, which a process has told of */
  __u32 entry;
  __u32 bucket;
  const struct wp_ring *ring;
};

static long add_bucket(__u32 round, struct sum *sum) {
  struct wp_tally *tally = sum->tally;
  struct wp_hist *hist = sum->hist;
  __u32 entry = sum->entry, bucket = sum->bucket++;
  if (!tally || entry >= WP_SLOT_CACHE || bucket >= WP_BUCKETS) return 1; /* never: for the verifier */
  __u32 cnt = tally->count[entry][bucket];
  if (!cnt) return 0;
  tally->count[entry][bucket] = 0;
  if (hist) {
    __sync_fetch_and_add(&hist->bucket[bucket], cnt);
  } else {
    lose_now(&losses.unreadable, cnt);
  }
  if (config.keeps_exemplars) {
    __u32 group = wp_exemplar_group(bucket) % WP_TALLY_GROUPS;
    /* What becomes of it is left to a loop of its own: verifiers go through loops within loops for too long. */
    __u64 slowest = tally->slowest[entry][group], place = tally->kept_cnt % WP_TALLY_KEPT;
    tally->slowest[entry][group] = 0;
    tally->kept[place] = slowest;
    tally->kept_slot[place] = tally->known[entry] >> WP_REF_ID_SHIFT;
    tally->kept_cnt += wp_exceeds(slowest, 0);
  }
  return 0;
}

static long add_sum(__u32 entry, struct sum *sum) {
  struct wp_tally *tally = sum->tally;
  if (!tally || entry >= WP_SLOT_CACHE || tally->room_ns[entry] == 0) return 0;
  __u32 slot = tally->known[entry] >> WP_REF_ID_SHIFT;
  __u64 min_ns = WP_BUCKET_END_NS - tally->room_ns[entry], max_ns = tally->max_ns[entry];
  sum->hist = bpf_map_lookup_elem(&hists, &slot);
  sum->entry = entry;
  sum->bucket = wp_bucket_of(min_ns);
  bpf_loop(wp_bucket_of(max_ns) - sum->bucket + 1, add_bucket, sum, 0);
  if (sum->hist) {
    __sync_fetch_and_add(&sum->hist->total_ns, tally->total_ns[entry]);
    raise(&sum->hist->inverted_min_ns, ~min_ns);
    raise(&sum->hist->max_ns, max_ns);
  }
  tally->total_ns[entry] = tally->room_ns[entry] = tally->max_ns[entry] = 0;
  return 0;
}

/* What the record says is still in the thread's ring. */
static long keep_slowest(__u32 place, struct sum *sum) {
  struct wp_tally *tally = sum->tally;
  struct wp_record record;
  if (!tally) return 1; /* never: for the verifier */
  __u64 slowest = tally->kept[place % WP_TALLY_KEPT];
  __u64 at = sum->ring->address + (slowest & (sum->ring->ring_records - 1)) * sizeof(record);
  if (bpf_probe_read_user(&record, sizeof(record), (void *)at)) return 0;
  keep_exemplar(tally->kept_slot[place % WP_TALLY_KEPT], slowest >> WP_NUMBER_BITS, &record, slowest,
                bpf_get_current_pid_tgid(), sum->ring);
  return 0;
}

/* Whoever has a tally begins with a look at the cache, and ends with the totals. */
static __always_inline struct wp_tally *begin_tally(const struct wp_block_state *state) {
  struct wp_tally *tally = own_tally();
  if (tally) __builtin_memcpy(tally->known, state->slots, sizeof(tally->known));
  return tally;
}

static __always_inline void end_tally(struct wp_tally *tally, const struct wp_ring *ring) {
  struct sum sum = {.tally = tally, .ring = ring};
  if (!tally) return;
  bpf_loop(WP_SLOT_CACHE, add_sum, &sum, 0);
  if (config.keeps_exemplars) {
    bpf_loop(tally->kept_cnt < WP_TALLY_KEPT ? tally->kept_cnt : WP_TALLY_KEPT, keep_slowest, &sum, 0);
    tally->kept_cnt = 0;
  }
  __sync_lock_test_and_set(&tally->busy, 0);
}

#endif
