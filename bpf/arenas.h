/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * What the instances of the library in a process count themselves stands in their memory, which is gone when the tool comes to
 * read it of a process that has ended. So it is read once more before that memory goes. */
#ifndef WAITPROBE_BPF_ARENAS_H
#define WAITPROBE_BPF_ARENAS_H

#include "abi.h"
#include "kernel.h"
#include "series.h"

/* The instances in a process, by number: 0, 1, ... An entry whose incarnation is 0 is free: that instance was closed. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_BLOCKS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct wp_arena_key);
  __type(value, struct wp_known_arena);
} arenas SEC(".maps");

/* What they had counted when one of their threads ended, until the tool has taken it. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_LAST_ARENAS);
  __type(key, __u64); /* incarnation */
  __type(value, struct wp_arena);
} last_arenas SEC(".maps");

static __always_inline void keep_counts(const struct wp_known_arena *known) {
  struct wp_arena arena;
  if (bpf_probe_read_user(&arena, sizeof(arena), (void *)known->arena) || arena.incarnation != known->incarnation) return;
  if (arena.lost_reentered | arena.lost_late | arena.clamped_cnt | arena.abandoned_cnt | arena.lost_stale | arena.lost_memory) {
    if (bpf_map_update_elem(&last_arenas, &known->incarnation, &arena, BPF_ANY)) lose_now(&losses.unreadable, 1); /* at least */
  }
}

/* Rounds over the instances of a process, for bpf_loop, which ends when they return 1. */
struct own_arenas {
  struct wp_arena_key key;
  struct wp_known_arena arena;
  int forget; /* the memory is going, or has gone */
};

static long remember_arena_at(__u32 index, struct own_arenas *own) {
  own->key.index = index;
  struct wp_known_arena *known = bpf_map_lookup_elem(&arenas, &own->key);
  if (known && known->incarnation == own->arena.incarnation) return 1;
  if (known && known->incarnation && known->arena != own->arena.arena) {
    if (index < WP_THREAD_INSTANCES - 1) return 0;
    keep_counts(known);
    lose_now(&losses.unreadable, 1); /* at least, if its instance has not been closed */
  }
  if (bpf_map_update_elem(&arenas, &own->key, &own->arena, BPF_ANY))
    lose_now(&losses.unreadable, 1); /* at least: perhaps none */
  return 1;
}

/* Of the current process. */
static __noinline int remember_arena(__u64 incarnation, __u64 arena) {
  struct own_arenas own = {.key.pid = bpf_get_current_pid_tgid() >> 32, .arena = {incarnation, arena}};
  /* As a rule it is the first, and this is asked at each wait under --per-event. */
  struct wp_known_arena *first = bpf_map_lookup_elem(&arenas, &own.key);
  if (!first || first->incarnation != incarnation) bpf_loop(WP_THREAD_INSTANCES, remember_arena_at, &own, 0);
  return 0;
}

static long keep_counts_at(__u32 index, struct own_arenas *own) {
  own->key.index = index;
  struct wp_known_arena *known = bpf_map_lookup_elem(&arenas, &own->key);
  if (!known) return 1;
  keep_counts(known);
  if (own->forget) bpf_map_delete_elem(&arenas, &own->key);
  return 0;
}

/* Keeps what the instances of a process have counted until now. */
static __noinline int keep_all_counts(__u32 pid, int forget) {
  struct own_arenas own = {.key.pid = pid, .forget = forget};
  if (bpf_map_lookup_elem(&arenas, &own.key)) bpf_loop(WP_THREAD_INSTANCES, keep_counts_at, &own, 0);
  return 0;
}

#endif
