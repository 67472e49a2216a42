/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Which thread owns which block: so that it can hand its records over, and that the last ones are brought when it dies. */
#ifndef WAITPROBE_BPF_OWNERS_H
#define WAITPROBE_BPF_OWNERS_H

#include "batches.h"

/* Which blocks a thread will leave behind when it dies. An entry whose incarnation is 0 is free: that instance was closed. */
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
  int forget; /* the thread has them no more */
};

static long remember_at(__u32 index, struct own_blocks *own) {
  own->thread.index = index;
  struct wp_owned_block *known = bpf_map_lookup_elem(&threads, &own->thread);
  if (known && known->key.incarnation &&
      (known->key.incarnation != own->block.key.incarnation || known->key.block != own->block.key.block)) {
    if (index == WP_THREAD_INSTANCES - 1) lose_now(&losses.blocks_full, 1); /* at least */
    return 0;
  }
  if (bpf_map_update_elem(&threads, &own->thread, &own->block, BPF_ANY)) lose_now(&losses.blocks_full, 1);
  return 1;
}

/* Of a block of the current thread, as its memory says. */
static __always_inline int read_head(__u64 block, struct wp_block_head *head) {
  return bpf_probe_read_user(head, sizeof(*head), (void *)block) ? -1 : 0;
}

/* Remembers that the current thread owns a block, for the time when it dies: even one for which there was no room, so that what
 * is lost with it is known. */
static __always_inline void remember_owner(__u64 block, const struct wp_block_head *head, struct wp_block_state *state) {
  struct own_blocks own = {.thread.tid = bpf_get_current_pid_tgid(),
                           .block = {.key = {.incarnation = head->incarnation, .block = block}, .owner_tid = head->owner_tid}};
  if (state && state->tid == own.thread.tid) return;
  bpf_loop(WP_THREAD_INSTANCES, remember_at, &own, 0);
  if (state) state->tid = own.thread.tid;
}

/* Counts what the current thread is handing over: it writes nothing meanwhile, so what is claimed can be copied afterwards. */
static __always_inline void take_handed(__u64 block, const struct wp_block_head *head) {
  __u64 first = head->flushed, end = head->written;
  struct wp_block_key key = {.incarnation = head->incarnation, .block = block};
  if (!wp_is_ring(head->ring_records) || end - first > head->ring_records) return;
  struct wp_block_state *state = state_of(&key, WP_BY_THREAD);
  if (!state) {
    lose_now(&losses.blocks_full, end - first);
    remember_owner(block, head, state);
    return;
  }
  if (claim_records(state, first, end, WP_BY_THREAD, &first) == WP_CLAIM) {
    struct wp_ring *ring = own_ring();
    if (ring) {
      struct walk walk = begin_walk(&key, state, ring, head);
      add_ring(&walk, first, end);
    } else {
      lose_now(&losses.unreadable, end - first);
    }
    let_go(ring);
  }
  remember_owner(block, head, state);
}

/* Takes what the blocks of the current thread still hold, which dies or loses its memory: rounds for bpf_loop, each over one part
 * of a ring or on to the next block. One loop, since the verifier goes through loops within loops for too long. */
struct last_records {
  struct wp_thread_key thread;
  struct wp_owned_block owned;
  struct wp_block_head head;
  struct wp_ring *ring;
  __u64 from, end;
  int is_in_block;
};

/* Whether the thread has another block that may hold records. */
static __always_inline int enter_block(struct last_records *last) {
  struct wp_owned_block *known = bpf_map_lookup_elem(&threads, &last->thread);
  if (!known || last->thread.index >= WP_THREAD_INSTANCES) return 0;
  last->thread.index++;
  last->owned = *known;
  if (read_head(known->key.block, &last->head) || last->head.incarnation != known->key.incarnation) return 1;
  last->from = last->head.flushed;
  last->end = last->head.written;
  last->is_in_block = wp_is_ring(last->head.ring_records) && last->end - last->from <= last->head.ring_records;
  return 1;
}

/* Others may be writing there: whoever has taken the block since the thread gave it back (then it is left to them), or, when a
 * parent is killed, its vfork child, which is not told apart. So records are copied first, a part of the ring at a time, and only
 * those are claimed that were whole in the copy: bpf/abi.h says which. False: there is no more to take from this block. */
static __always_inline int take_last_part(struct last_records *last) {
  struct wp_block_head *head = &last->head;
  __u64 ring = head->ring, first = last->from, end = end_of_part(first, last->end);
  struct wp_block_key key = last->owned.key;
  int failed = first == end || copy_part(last->ring, ring, head->ring_records, first);
  if (read_head(key.block, head) || head->incarnation != key.incarnation || head->ring != ring) return 0;
  if (head->owner_tid && head->owner_tid != last->owned.owner_tid) return 0;
  if (head->flushed > first) first = head->flushed;
  if (first > end) return 0; /* all that were to be taken have been flushed meanwhile */
  last->from = end;
  struct wp_block_state *state = first < end ? state_of(&key, WP_BY_THREAD) : known_state(&key);
  if (!state) {
    lose_now(&losses.blocks_full, end - first);
  } else if (claim_records(state, first, end, WP_BY_THREAD, &first) == WP_CLAIM && first != end) {
    /* Where first is end, a hit was passed over, and the claim has told of the gap. */
    if (unknown(failed)) {
      lose_now(&losses.unreadable, end - first);
    } else if (last->ring) {
      struct walk walk = begin_walk(&key, state, last->ring, head);
      add_copied(&walk, first, end);
    }
  }
  return end != last->end;
}

static long take_some(__u32 round, struct last_records *last) {
  if (!last->is_in_block) return !enter_block(last);
  last->is_in_block = take_last_part(last);
  return 0;
}

static long own_at(__u32 index, struct own_blocks *own) {
  own->thread.index = index;
  struct wp_owned_block *known = bpf_map_lookup_elem(&threads, &own->thread);
  if (!known) return 1;
  own->block = *known;
  if (own->heir) {
    struct wp_thread_key heir = {.tid = own->heir, .index = index};
    bpf_map_update_elem(&threads, &heir, &own->block, BPF_ANY);
  }
  if (!own->forget) return 0;
  bpf_map_delete_elem(&threads, &own->thread);
  /* A later thread may get this number, and this block. Whoever has taken it is left alone. */
  struct wp_block_state *state = known_state(&own->block.key);
  if (state && state->tid == own->thread.tid) state->tid = 0;
  return 0;
}

static __always_inline void each_own(struct own_blocks *own) {
  if (bpf_map_lookup_elem(&threads, &own->thread)) bpf_loop(WP_THREAD_INSTANCES, own_at, own, 0);
}

/* A thread's memory has gone. */
static __noinline void forget_own(__u32 tid) {
  struct own_blocks own = {.thread.tid = tid, .forget = 1};
  each_own(&own);
}

/* Takes what the current thread, which is about to die or to lose its memory, has not flushed. */
static __noinline void flush_current_thread(void) {
  struct last_records last = {
      .thread.tid = bpf_get_current_pid_tgid(), .from = unknown(0), .end = unknown(0), .is_in_block = unknown(0)};
  if (!bpf_map_lookup_elem(&threads, &last.thread)) return;
  last.thread.index = unknown(0);
  last.ring = own_ring();
  bpf_loop(WP_THREAD_INSTANCES * (WP_RING_PARTS + 1), take_some, &last, 0);
  let_go(last.ring);
}

/* A child in the memory of its parent goes on with the blocks of the thread that has made it, and may outlive it. */
static __noinline void transfer_blocks(__u32 tid, __u32 heir) {
  struct own_blocks own = {.thread.tid = tid, .heir = heir};
  each_own(&own);
}

#endif
