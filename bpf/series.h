/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * The totals in the kernel: one pool of histograms, handed out to {series, shard} on first use. All memory is allocated when
 * the maps are made, and a wait that finds no place is counted.
 *
 * No per-CPU scratch and no large stack: the info of a new series is written where it will stay. */
#ifndef WAITPROBE_BPF_SERIES_H
#define WAITPROBE_BPF_SERIES_H

#include "abi.h"
#include "kernel.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_POOL_SIZE);
  __type(key, struct wp_series_key);
  __type(value, __u32); /* index into hists and infos */
} series SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_POOL_SIZE);
  __uint(map_flags, BPF_F_MMAPABLE); /* the tool reads it in place */
  __type(key, __u32);
  __type(value, struct wp_hist);
} hists SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_POOL_SIZE);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct wp_series_info);
} infos SEC(".maps");

struct wp_losses losses;
__u32 next_slot; /* below it, slots have been handed out; a thread that loses the race for a new series burns one */

/* A counter of the current process, as its memory says: not to be trusted, only to be reported. */
struct counter_ref {
  __u64 key_address;
  __u64 incarnation;
  __u32 id;
  __u32 key_len;
};

static __always_inline void describe(__u32 slot, const struct counter_ref *counter) {
  struct wp_series_info *info = bpf_map_lookup_elem(&infos, &slot);
  if (!info) return;
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  struct task_struct *leader = BPF_CORE_READ(task, group_leader);
  info->process_start_ns = BPF_CORE_READ(leader, start_boottime);
  info->distinct = counter->incarnation * 0x9e3779b97f4a7c15ULL + counter->id;
  info->pid = bpf_get_current_pid_tgid() >> 32;
  info->key_len = counter->key_len;
  bpf_probe_read_kernel(info->comm, sizeof(info->comm), &leader->comm);
  __u32 len = counter->key_len;
  if (len > WP_KEY_MAX) len = WP_KEY_MAX;
  /* What stands right before the key has just been read; so it can hardly fail. */
  if (bpf_probe_read_user(info->key, len, (void *)counter->key_address)) info->key_len = 0;
}

/* The slot of a series, made if there is none; WP_POOL_SIZE when the pool is used up. */
static __noinline __u32 find_slot(struct wp_series_key *key, const struct counter_ref *counter) {
  if (!key || !counter) return WP_POOL_SIZE;
  __u32 *known = bpf_map_lookup_elem(&series, key);
  if (known) return *known;
  /* Half the pool is kept for the first shard of series to come. */
  if (next_slot >= (key->shard ? WP_POOL_SIZE / 2 : WP_POOL_SIZE)) return WP_POOL_SIZE;
  __u32 slot = __sync_fetch_and_add(&next_slot, 1);
  if (slot >= WP_POOL_SIZE) return WP_POOL_SIZE;
  describe(slot, counter);
  if (bpf_map_update_elem(&series, key, &slot, BPF_NOEXIST) == 0) return slot;
  known = bpf_map_lookup_elem(&series, key);
  return known ? *known : WP_POOL_SIZE;
}

/* Raises *at to `value` unless it is higher. Each failed try means that another CPU raised it, so few are enough; what is lost
 * after that is at most a maximum inside the same bucket or a view's bound of it. */
static __always_inline void raise(__u64 *at, __u64 value) {
  __u64 seen = *at;
  for (int i = 0; i < 16 && seen < value; i++) {
    __u64 before = __sync_val_compare_and_swap(at, seen, value);
    if (before == seen) return;
    seen = before;
  }
}

static __always_inline void add_to(struct wp_hist *hist, __u64 duration_ns) {
  __u32 i = wp_bucket_of(duration_ns);
  if (i >= WP_BUCKETS) return; /* never: for the verifier */
  __sync_fetch_and_add(&hist->bucket[i], 1);
  __sync_fetch_and_add(&hist->total_ns, duration_ns);
  raise(&hist->inverted_min_ns, ~duration_ns);
  raise(&hist->max_ns, duration_ns);
}

/* Adds one wait of the current process to its series. The one way into the totals. `spread` is any number that differs between
 * waits which happen at the same time. */
static __always_inline void add_wait(const struct counter_ref *counter, __u32 spread, __u64 duration_ns) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  struct wp_series_key key = {
      .mm = (__u64)BPF_CORE_READ(task, mm),
      .incarnation = counter->incarnation,
      .counter_id = counter->id,
      .shard = spread % WP_SHARDS,
  };
  __u32 slot = find_slot(&key, counter);
  if (slot >= WP_POOL_SIZE && key.shard) {
    key.shard = 0;
    slot = find_slot(&key, counter);
  }
  struct wp_hist *hist = bpf_map_lookup_elem(&hists, &slot);
  if (!hist) {
    __sync_fetch_and_add(&losses.series_full, 1);
    return;
  }
  add_to(hist, duration_ns);
}

#endif
