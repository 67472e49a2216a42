/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Which thread owns which block: so that it can hand its records over, and that the last ones are brought when it dies. */
#ifndef WAITPROBE_BPF_OWNERS_H
#define WAITPROBE_BPF_OWNERS_H

#include "batches.h"

/* Which blocks a thread will leave behind when it dies. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_BLOCKS_MAX);
  __type(key, struct wp_thread_key);
  __type(value, struct wp_owned_block);
} threads SEC(".maps");

/* Rounds over the blocks of a thread, for bpf_loop, which ends when they return 1. */
struct own_blocks {
  struct wp_thread_key thread;
  struct wp_owned_block block;
  __u32 heir; /* a thread that will have them too */
  int bring;  /* take what they hold */
  int forget; /* the thread has them no more */
};

static long remember_at(__u32 index, struct own_blocks *own) {
  own->thread.index = index;
  struct wp_owned_block *known = bpf_map_lookup_elem(&threads, &own->thread);
  if (known && (known->key.incarnation != own->block.key.incarnation || known->key.block != own->block.key.block)) {
    if (index == WP_THREAD_INSTANCES - 1) lose_now(&losses.blocks_full, 1); /* at least */
    return 0;
  }
  if (bpf_map_update_elem(&threads, &own->thread, &own->block, BPF_ANY)) lose_now(&losses.blocks_full, 1);
  return 1;
}

/* A block of the current thread, as its memory says: the beginning of struct wp_block. */
struct head {
  __u64 incarnation;
  __u64 arena;
  __u64 written;
  __u64 flushed;
  __u64 owner;
  __u64 last_wait_id;
  __u64 next;
  __u32 owner_tid;
  __u32 tag;
};

static __always_inline int read_head(__u64 block, struct head *head) {
  return bpf_probe_read_user(head, sizeof(*head), (void *)block) ? -1 : 0;
}

/* Remembers that the current thread owns a block, for the time when it dies: even one for which there was no room, so that what
 * is lost with it is known. */
static __always_inline void remember_owner(__u64 block, const struct head *head, struct wp_block_state *state) {
  struct own_blocks own = {.thread.tid = bpf_get_current_pid_tgid(),
                           .block = {.key = {.incarnation = head->incarnation, .block = block}, .owner_tid = head->owner_tid}};
  if (state && state->tid == own.thread.tid) return;
  bpf_loop(WP_THREAD_INSTANCES, remember_at, &own, 0);
  if (state) state->tid = own.thread.tid;
}

/* Counts what the current thread is handing over: it writes nothing meanwhile, so what is claimed can be copied afterwards. */
static __always_inline void take_handed(__u64 block, const struct head *head) {
  __u64 first = head->flushed, end = head->written;
  struct wp_block_key key = {.incarnation = head->incarnation, .block = block};
  if (end - first > WP_RING_RECORDS) return;
  struct wp_block_state *state = state_of(&key, WP_BY_THREAD);
  if (!state) {
    lose_now(&losses.blocks_full, end - first);
    remember_owner(block, head, state);
    return;
  }
  if (claim_records(state, first, end, WP_BY_THREAD, &first) == WP_CLAIM) {
    struct wp_ring *ring = own_ring();
    if (copy_ring(ring, block)) {
      lose_now(&losses.unreadable, end - first);
    } else {
      add_claimed(&key, state, ring, first, end, WP_BY_THREAD, 1);
    }
    let_go(ring);
  }
  remember_owner(block, head, state);
}

/* Counts what a block still holds of a thread that dies. Others may be writing there: whoever has taken the block since the
 * thread gave it back (then it is left to them), or, when a parent is killed, its vfork child, which is not told apart. So the
 * records are copied first, and only those are claimed that were whole in the copy: bpf/abi.h says which. */
static __always_inline void take_last(const struct wp_owned_block *owned, struct wp_ring *ring) {
  __u64 block = owned->key.block;
  struct wp_block_key key = owned->key;
  struct head head;
  if (read_head(block, &head) || head.incarnation != key.incarnation) return;
  __u64 end = head.written;
  int failed = head.written == head.flushed || copy_ring(ring, block);
  if (read_head(block, &head) || (head.owner_tid && head.owner_tid != owned->owner_tid)) return;
  __u64 first = head.flushed;
  if (first > end || end - first > WP_RING_RECORDS) return;
  struct wp_block_state *state = first < end ? state_of(&key, WP_BY_THREAD) : bpf_map_lookup_elem(&blocks, &key);
  if (!state) {
    lose_now(&losses.blocks_full, end - first);
  } else if (claim_records(state, first, end, WP_BY_THREAD, &first) == WP_CLAIM) {
    if (first == end) return; /* a hit was passed over, and the claim has told of the gap */
    if (failed || !ring) {
      lose_now(&losses.unreadable, end - first);
    } else {
      add_claimed(&key, state, ring, first, end, WP_BY_THREAD, 0);
    }
  }
}

static __noinline int bring_last(struct own_blocks *own) {
  if (!own) return 0; /* for the verifier */
  struct wp_owned_block owned = own->block;
  struct wp_ring *ring = own_ring();
  take_last(&owned, ring);
  let_go(ring);
  return 0;
}

static long own_at(__u32 index, struct own_blocks *own) {
  own->thread.index = index;
  struct wp_owned_block *known = bpf_map_lookup_elem(&threads, &own->thread);
  if (!known) return 1;
  own->block = *known;
  if (own->bring) bring_last(own);
  if (own->heir) {
    struct wp_thread_key heir = {.tid = own->heir, .index = index};
    bpf_map_update_elem(&threads, &heir, &own->block, BPF_ANY);
  }
  if (!own->forget) return 0;
  bpf_map_delete_elem(&threads, &own->thread);
  /* A later thread may get this number, and this block. Whoever has taken it is left alone. */
  struct wp_block_state *state = bpf_map_lookup_elem(&blocks, &own->block.key);
  if (state && state->tid == own->thread.tid) state->tid = 0;
  return 0;
}

static __always_inline void each_own(struct own_blocks *own) {
  if (bpf_map_lookup_elem(&threads, &own->thread)) bpf_loop(WP_THREAD_INSTANCES, own_at, own, 0);
}

/* Takes what the current thread, which is about to die or to lose its memory, has not flushed. */
static __noinline void flush_current_thread(int forget) {
  struct own_blocks own = {.thread.tid = bpf_get_current_pid_tgid(), .bring = 1, .forget = forget};
  each_own(&own);
}

/* A thread's memory has gone. */
static __noinline void forget_own(__u32 tid) {
  struct own_blocks own = {.thread.tid = tid, .forget = 1};
  each_own(&own);
}

/* A child in the memory of its parent goes on with the blocks of the thread that has made it, and may outlive it. */
static __noinline void transfer_blocks(__u32 tid, __u32 heir) {
  struct own_blocks own = {.thread.tid = tid, .heir = heir};
  each_own(&own);
}

#endif
