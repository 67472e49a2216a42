/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * The totals in the kernel: one pool of histograms, leased to {series, shard} on first use (leases.h). All memory is allocated
 * when the maps are made, and a wait that finds no place is counted.
 *
 * No per-CPU scratch and no large stack: the info of a new series is written where it will stay. */
#ifndef WAITPROBE_BPF_SERIES_H
#define WAITPROBE_BPF_SERIES_H

#include "tool_abi.h"
#include "kernel.h"
#include "leases.h"
#include "targets.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_POOL_SIZE);
  __type(key, struct wp_series_key);
  __type(value, __u32); /* index into hists and infos */
} series SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_POOL_SIZE);
  __uint(map_flags, BPF_F_MMAPABLE);
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

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_POOL_SIZE);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, __u32);
} free_slots SEC(".maps");

struct wp_losses losses;
struct wp_window windows[2] = {{.mult = 1}, {.mult = 1}};
struct wp_leases slot_leases; /* a thread that loses the race for a new series leaves a slot that nothing leads to */
__u64 slot_epoch;

/* Raises a loss of records whose stop is not known, if those of this moment count: what passes while the tool still attaches or
 * already detaches was not asked for. */
static __always_inline void lose_now(__u64 *loss, __u64 cnt) {
  const struct wp_window *window = &windows[WP_WINDOW_NS];
  if (cnt && bpf_ktime_get_ns() - window->since < window->span) __sync_fetch_and_add(loss, cnt);
}

/* What the tool introduces, whose memory the current process is not. */
struct wp_series_info introduction;

/* Fills in the info of a new series: from the memory of the current process, or from the introduction. */
static __always_inline int describe(__u32 slot, const struct wp_series_key *key, int introduced) {
  struct wp_series_info *info = bpf_map_lookup_elem(&infos, &slot);
  if (!info) return -1;
  if (introduced) {
    bpf_probe_read_kernel(info, sizeof(*info), &introduction);
    info->series = *key;
    return 0;
  }
  info->series = *key;
  struct counter_words counter;
  if (read_counter(key->counter, &counter, info->key)) return -1;
  struct task_struct *leader = owner_of_memory();
  info->process_start_ticks = (BPF_CORE_READ(leader, start_boottime) + config.boottime_offset_ns) / WP_CLOCK_TICK_NS;
  info->distinct = wp_distinct(key->incarnation, counter.id);
  info->pid = BPF_CORE_READ(leader, tgid);
  info->parent_pid = BPF_CORE_READ(leader, flags) & PF_FORKNOEXEC ? BPF_CORE_READ(leader, real_parent, tgid) : 0;
  bpf_probe_read_kernel(info->comm, sizeof(info->comm), &leader->comm);
  info->key_len = counter.key_len;
  info->flags = counter.flags;
  return 0;
}

enum series_source {
  FROM_THREAD,            /* the process that the series is of */
  FROM_TOOL,              /* the tool, with an introduction */
  FROM_TOOL_UNINTRODUCED, /* the tool, without: a series that it has not introduced does not exist */
};

/* Where there is no slot, and why. */
#define WP_NO_SLOT (~0U)
#define WP_UNREADABLE_SLOT (~0U - 1)

static __always_inline int is_slot_of(__u32 slot, const struct wp_series_key *key) {
  struct wp_series_info *info = bpf_map_lookup_elem(&infos, &slot);
  return info && info->series.incarnation == key->incarnation && info->series.counter == key->counter &&
         info->series.shard == key->shard;
}

/* Twice: an entry that has become another one's while it was read is not there any more. */
static __always_inline __u32 known_slot(const struct wp_series_key *key) {
  for (int i = 0; i < 2; i++) {
    __u32 *known = bpf_map_lookup_elem(&series, key);
    if (!known) return WP_NO_SLOT;
    __u32 slot = *known;
    if (is_slot_of(slot, key)) return slot;
  }
  return WP_NO_SLOT;
}

/* The slot of a series, leased if it has none. */
static __always_inline __u32 find_slot(const struct wp_series_key *key, enum series_source source) {
  __u32 slot = known_slot(key);
  if (slot != WP_NO_SLOT) return slot;
  if (source == FROM_TOOL_UNINTRODUCED) return WP_NO_SLOT;
  /* Half the pool is kept for the first shard of series to come. */
  slot = take_place(&free_slots, &slot_leases, config.pool_size, key->shard ? config.pool_size / 2 : 0);
  if (slot == WP_NO_PLACE) return WP_NO_SLOT;
  if (describe(slot, key, source == FROM_TOOL)) return WP_UNREADABLE_SLOT;
  if (bpf_map_update_elem(&series, key, &slot, BPF_NOEXIST) == 0) return slot;
  return known_slot(key);
}

/* The histogram index for waits of a series, in shard 0 if its own has no place. */
static __noinline __u32 slot_of(__u64 incarnation, __u64 counter, __u32 shard, enum series_source source) {
  struct wp_series_key key = {.incarnation = incarnation, .counter = counter, .shard = shard % WP_SHARDS};
  __u32 slot = find_slot(&key, source);
  if (slot == WP_NO_SLOT && key.shard) {
    key.shard = 0;
    slot = find_slot(&key, source);
  }
  /* Had there been a place, the tool would have introduced it. */
  if (slot == WP_NO_SLOT && source == FROM_TOOL_UNINTRODUCED && slot_leases.free > 0) return WP_UNREADABLE_SLOT;
  return slot;
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

/* Adds one wait to the histogram of a series. */
static __always_inline void add_wait_at(__u32 slot, __u64 duration_ns) {
  struct wp_hist *hist = bpf_map_lookup_elem(&hists, &slot);
  __u32 i = wp_bucket_of(duration_ns);
  if (!hist) {
    __sync_fetch_and_add(slot == WP_NO_SLOT ? &losses.series_full : &losses.unreadable, 1);
    return;
  }
  if (i >= WP_BUCKETS) return; /* never: for the verifier */
  __sync_fetch_and_add(&hist->bucket[i], 1);
  __sync_fetch_and_add(&hist->total_ns, duration_ns);
  raise(&hist->inverted_min_ns, ~duration_ns);
  raise(&hist->max_ns, duration_ns);
}

#endif
