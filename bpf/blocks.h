/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * What is known of thread blocks: how many of their records have been claimed, and where their waits are added up. In places that
 * are leased to blocks (leases.h). */
#ifndef WAITPROBE_BPF_BLOCKS_H
#define WAITPROBE_BPF_BLOCKS_H

#include "tool_abi.h"
#include "claim.h"
#include "kernel.h"
#include "leases.h"
#include "series.h"
#include "targets.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_BLOCKS_MAX);
  __type(key, struct wp_block_key);
  __type(value, __u32); /* index into block_states */
} blocks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_BLOCKS_MAX);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct wp_block_state);
} block_states SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_BLOCKS_MAX);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, __u32);
} free_states SEC(".maps");

/* No counter stands at the address of all ones, nor does a histogram there: a process that lies must not hit upon an empty
 * entry. */
const struct wp_block_state new_block = {
    .next = WP_NEXT_UNKNOWN, .offset_ns = WP_OFFSET_UNKNOWN, .slots = {[0 ... WP_SLOT_CACHE - 1] = ~0ULL}};
struct wp_claim claimed;
struct wp_leases state_leases;

__u64 untold_cnt; /* discoveries for which there was no room */

/* Twice, as known_slot(). */
static __always_inline struct wp_block_state *known_state(const struct wp_block_key *key) {
  for (int i = 0; i < 2; i++) {
    __u32 *known = bpf_map_lookup_elem(&blocks, key);
    if (!known) return NULL;
    __u32 index = *known;
    struct wp_block_state *state = bpf_map_lookup_elem(&block_states, &index);
    if (state && state->key.incarnation == key->incarnation && state->key.block == key->block) return state;
  }
  return NULL;
}

/* What is known of a block, leased if nothing was. Null: there is no place. */
static __always_inline struct wp_block_state *state_of(const struct wp_block_key *key, enum wp_bringer by) {
  struct wp_block_state *state = known_state(key);
  if (state) return state;
  __u32 index = take_place(&free_states, &state_leases, WP_BLOCKS_MAX, 0);
  state = bpf_map_lookup_elem(&block_states, &index);
  if (!state) return NULL;
  *state = new_block;
  state->key = *key;
  state->pid = by != WP_BY_TOOL ? BPF_CORE_READ(owner_of_memory(), tgid) : claimed.pid;
  if (bpf_map_update_elem(&blocks, key, &index, BPF_NOEXIST)) return known_state(key);
  if (by != WP_BY_TOOL && tell(key->incarnation, bpf_get_current_pid_tgid() >> 32)) __sync_fetch_and_add(&untold_cnt, 1);
  return state;
}

/* Empties a cache of before the last slots were given back. */
static __always_inline void renew_cache(struct wp_block_state *state) {
  __u64 epoch = slot_epoch;
  if (state->epoch == epoch) return;
  __builtin_memset(state->slots, 0xff, sizeof(state->slots));
  __sync_lock_test_and_set(&state->epoch, epoch);
}

#endif
