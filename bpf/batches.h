/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Records of thread blocks, added up. Whoever brings them (their thread with a full ring, the tool, the dying thread) comes by
 * claim_records(), which sees to it that each is counted once. */
#ifndef WAITPROBE_BPF_BATCHES_H
#define WAITPROBE_BPF_BATCHES_H

#include "abi.h"
#include "claim.h"
#include "kernel.h"
#include "series.h"
#include "targets.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_BLOCKS_MAX);
  __type(key, struct wp_block_key);
  __type(value, struct wp_block_state);
} blocks SEC(".maps");

/* Which blocks a thread will leave behind when it dies. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_BLOCKS_MAX);
  __type(key, struct wp_thread_key);
  __type(value, struct wp_owned_block);
} threads SEC(".maps");

/* What the copies of the library had lost when one of their threads ended, for the tool, which may come too late to read it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64); /* incarnation */
  __type(value, struct wp_arena);
} last_arenas SEC(".maps");

/* No counter stands at the address of all ones, nor does a histogram there: a process that lies must not hit upon an empty
 * entry. */
const struct wp_block_state new_block = {.next = WP_NEXT_UNKNOWN, .slots = {[0 ... WP_SLOT_CACHE - 1] = ~0ULL}};
struct wp_claim claimed;
__u64 block_cnt; /* entries of `blocks` */

/* Where records stand while they are added up: whole rings, read at once, since each read costs as much as several records.
 * Whoever uses one owns it until then, preempted or not, which per-CPU memory would not see to. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WP_RINGS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct wp_ring);
} rings SEC(".maps");

struct search {
  __u32 from;
  struct wp_ring *found;
};

static __always_inline struct wp_ring *try_ring(__u32 index) {
  struct wp_ring *ring = bpf_map_lookup_elem(&rings, &index);
  return ring && __sync_val_compare_and_swap(&ring->busy, 0, 1) == 0 ? ring : NULL;
}

static long search_ring(__u32 index, struct search *search) {
  search->found = try_ring((search->from + index) % WP_RING_OF_TOOL);
  return search->found != NULL;
}

static __always_inline struct wp_ring *own_ring(void) {
  struct search search = {.from = bpf_get_smp_processor_id()};
  search.found = try_ring(search.from % WP_RING_OF_TOOL);
  if (!search.found) bpf_loop(WP_RING_OF_TOOL, search_ring, &search, 0);
  return search.found;
}

struct records {
  struct wp_ring *ring;
  struct wp_block_state *state;
  __u64 incarnation;
  __u64 offset_ns; /* of their process's CLOCK_MONOTONIC from the machine's */
  __u64 from;      /* number of the first record of a loop */
  __u32 shard;
  enum who who;
};

static __always_inline int counts(const struct records *records, const struct wp_record *record, __u64 margin) {
  const struct wp_window *window = &windows[record->counter >> 63];
  __u64 after = record->stop - window->since;
  if (!(record->counter & WP_REF_CYCLES)) after -= records->offset_ns;
  return window->span > margin && after >= margin && after < window->span - margin;
}

/* Milliseconds, whatever the clock. Records of a block stand in the order of their stops but for those of signal handlers,
 * which come before the wait that they interrupted. */
#define MARGIN (1ULL << 24)

static __always_inline __u64 *cached_slot(const struct records *records, const struct wp_record *record) {
  return &records->state->slots[record->counter >> WP_REF_ID_SHIFT & (WP_SLOT_CACHE - 1)];
}

static __always_inline __u64 duration_of(const struct wp_record *record) {
  __u64 duration = record->duration;
  if (!(record->counter & WP_REF_CYCLES)) return duration;
  const struct wp_window *window = &windows[WP_WINDOW_CYCLES];
  __u64 high = duration >> 32, low = (__u32)duration;
  return (high * window->mult << (32 - window->shift)) + (low * window->mult >> window->shift);
}

/* Any record that counts. */
static __noinline int add_record(const struct records *records, const struct wp_record *record) {
  __u64 *cached = cached_slot(records, record), counter = record->counter & WP_REF_ADDRESS;
  __u32 slot = *cached >> WP_REF_ID_SHIFT;
  if ((*cached & WP_REF_ADDRESS) != counter) {
    slot = slot_of(records->incarnation, counter, records->shard, records->who);
    if (slot < WP_POOL_SIZE) *cached = (__u64)slot << WP_REF_ID_SHIFT | counter;
  }
  add_wait_at(slot, duration_of(record));
  return 0;
}

/* Two ways through the records, each for bpf_loop, since the verifier would take a second for a plain loop over 256. */
static long add_one(__u32 round, struct records *records) {
  const struct wp_record *record = &records->ring->records[(records->from + round) % WP_RING_RECORDS];
  if (counts(records, record, 0)) add_record(records, record);
  return 0;
}

/* Eight records that all count, without a call, which costs more than a record does: CPUs that guard against SRSO pay for each
 * return. What is not in the cache, or is an extreme, is left for later. Nor would 6.12 allow a call to a function that is not
 * static. */
#define UNROLLED 8

static long add_left(__u32 i, struct records *records) {
  if (records->ring->left >> i & 1) add_record(records, &records->ring->records[(records->from + i) % WP_RING_RECORDS]);
  return 0;
}

static long add_eight(__u32 round, struct records *records) {
  const struct wp_record *some = &records->ring->records[records->from & (WP_RING_RECORDS - UNROLLED)];
  /* Not in a register: the verifier would follow each of its values. */
  records->ring->left = 0;
#pragma unroll
  for (int i = 0; i < UNROLLED; i++) {
    __u64 known = *cached_slot(records, &some[i]), duration_ns = duration_of(&some[i]);
    __u32 slot = known >> WP_REF_ID_SHIFT;
    struct wp_hist *hist = bpf_map_lookup_elem(&hists, &slot);
    if (((known ^ some[i].counter) & WP_REF_ADDRESS) || !hist || is_extreme(hist, duration_ns)) {
      records->ring->left |= 1U << i;
    } else {
      add_wait(hist, duration_ns);
    }
  }
  if (records->ring->left) bpf_loop(UNROLLED, add_left, records, 0);
  records->from += UNROLLED;
  return 0;
}

static __always_inline void add_all(struct records *records, __u64 cnt, int all_count) {
  __u64 first = records->from, end = first + cnt;
  __u64 head = all_count ? -first % UNROLLED : cnt;
  if (head > cnt) head = cnt;
  __u64 eights = (cnt - head) / UNROLLED;
  if (head) bpf_loop(head, add_one, records, 0);
  records->from = first + head;
  if (eights) bpf_loop(eights, add_eight, records, 0);
  if (records->from != end) bpf_loop(end - records->from, add_one, records, 0);
}

static __always_inline void tell_of(const struct wp_block_key *key) {
  struct wp_sighting *sighting = bpf_ringbuf_reserve(&sightings, sizeof(*sighting), 0);
  if (!sighting) return;
  sighting->incarnation = key->incarnation;
  sighting->pid = bpf_get_current_pid_tgid() >> 32;
  sighting->pad = 0;
  bpf_ringbuf_submit(sighting, 0);
}

static __always_inline struct wp_block_state *state_of(const struct wp_block_key *key, enum wp_bringer by) {
  struct wp_block_state *state = bpf_map_lookup_elem(&blocks, key);
  if (state) return state;
  long failed = bpf_map_update_elem(&blocks, key, &new_block, BPF_NOEXIST);
  if (!failed) __sync_fetch_and_add(&block_cnt, 1);
  if (!failed && by != WP_BY_TOOL) tell_of(key);
  return bpf_map_lookup_elem(&blocks, key);
}

/* Adds up records that have been claimed, and that stand in a ring. */
static __always_inline void add_claimed(const struct wp_block_key *key, struct wp_block_state *state, struct wp_ring *ring,
                                        __u64 first, __u64 end, enum wp_bringer by, int full_rings) {
  struct records records = {
      .ring = ring,
      .state = state,
      .incarnation = key->incarnation,
      .offset_ns = by != WP_BY_TOOL ? monotonic_offset_ns() : claimed.offset_ns,
      .from = first,
      .shard = key->block / sizeof(struct wp_block),
      .who = by != WP_BY_TOOL ? CURRENT : STRANGER,
  };
  /* What brings full rings has to be quick; the others spare the verifier the way for those. */
  int all_count = full_rings && counts(&records, &ring->records[first % WP_RING_RECORDS], MARGIN) &&
                  counts(&records, &ring->records[(end - 1) % WP_RING_RECORDS], MARGIN);
  add_all(&records, end - first, all_count);
}

static __always_inline int copy_ring(struct wp_ring *ring, __u64 block) {
  return !ring || bpf_probe_read_user(ring->records, sizeof(ring->records), (void *)(block + WP_RING_OFFSET)) ? -1 : 0;
}

static __always_inline void let_go(struct wp_ring *ring) {
  if (ring) __sync_lock_test_and_set(&ring->busy, 0);
}

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
  if (known && (known->key.incarnation != own->block.key.incarnation || known->key.block != own->block.key.block)) return 0;
  if (bpf_map_update_elem(&threads, &own->thread, &own->block, BPF_ANY)) lose_now(&losses.blocks_full, 1);
  return 1;
}

/* A block of the current thread, as its memory says: the beginning of struct wp_block. */
struct head {
  __u64 incarnation;
  __u64 arena;
  __u64 written;
  __u64 handed;
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
  bpf_loop(WP_THREAD_COPIES, remember_at, &own, 0);
  if (state) state->tid = own.thread.tid;
}

/* Moves `next` over records [first, end), those of them that nobody has claimed; from *from on they are to be added up. */
static __always_inline enum wp_verdict claim_records(struct wp_block_state *state, __u64 first, __u64 end, enum wp_bringer by,
                                                     __u64 *from) {
  __u64 before = state->next;
  for (int i = 0; i < 4; i++) {
    enum wp_verdict verdict = wp_judge(before, first, end, by);
    if (verdict != WP_CLAIM) return verdict;
    __u64 seen = __sync_val_compare_and_swap(&state->next, before, end);
    if (seen == before) {
      lose_now(&losses.gap, wp_gap(before, first));
      *from = wp_first_claimed(before, first);
      return WP_CLAIM;
    }
    before = seen;
  }
  return WP_REFUSE; /* never: each failure is a claim of another, and there are only the thread and the tool */
}

/* Counts records [first, first + cnt) that the tool has put into its ring, those that nobody has counted yet. */
static __always_inline int take_of_tool(const struct wp_block_key *key, __u64 first, __u64 cnt) {
  if (cnt > WP_RING_RECORDS) return WP_NOTHING;
  struct wp_block_state *state = state_of(key, WP_BY_TOOL);
  if (!state) return WP_REFUSE; /* so that the thread tells of the loss, and nobody else */
  __u64 from = first;
  enum wp_verdict verdict = claim_records(state, first, first + cnt, WP_BY_TOOL, &from);
  __u32 of_tool = WP_RING_OF_TOOL;
  struct wp_ring *ring = bpf_map_lookup_elem(&rings, &of_tool);
  if (verdict == WP_CLAIM && ring) add_claimed(key, state, ring, from, first + cnt, WP_BY_TOOL, 0);
  return verdict;
}

/* Counts what the current thread is handing over: it writes nothing meanwhile, so what is claimed can be copied afterwards. */
static __always_inline void take_handed(__u64 block, const struct head *head) {
  __u64 first = head->handed, end = head->written;
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

/* What the copy has lost until now, for the tool, which may come too late to read it. */
static __always_inline void keep_losses(const struct head *head) {
  struct wp_arena arena;
  if (bpf_probe_read_user(&arena, sizeof(arena), (void *)head->arena) || arena.incarnation != head->incarnation) return;
  if (arena.lost_reentered | arena.lost_late | arena.clamped_cnt | arena.abandoned_cnt | arena.lost_stale) {
    bpf_map_update_elem(&last_arenas, &head->incarnation, &arena, BPF_ANY);
  }
}

/* Counts what a block still holds of a thread that dies. Others may be writing there: whoever has taken the block since the
 * thread gave it back (then it is left to them), or, when a parent is killed, its vfork child, which is not told apart. So the
 * records are copied first, and only those are claimed that were whole in the copy: bpf/abi.h says which. */
static __always_inline void take_last(const struct wp_owned_block *owned, struct wp_ring *ring) {
  __u64 block = owned->key.block;
  struct wp_block_key key = owned->key;
  struct head before, after;
  if (read_head(block, &before) || before.incarnation != key.incarnation) return;
  keep_losses(&before);
  __u64 end = before.written;
  int failed = before.written == before.handed || copy_ring(ring, block);
  if (read_head(block, &after) || (after.owner_tid && after.owner_tid != owned->owner_tid)) return;
  __u64 first = after.handed;
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
  if (bpf_map_lookup_elem(&threads, &own->thread)) bpf_loop(WP_THREAD_COPIES, own_at, own, 0);
}

/* Takes what the current thread, which is about to die or to lose its memory, has not handed over. */
static __noinline void bring_own(int forget) {
  struct own_blocks own = {.thread.tid = bpf_get_current_pid_tgid(), .bring = 1, .forget = forget};
  each_own(&own);
}

/* A thread's memory has gone. */
static __noinline void forget_own(__u32 tid) {
  struct own_blocks own = {.thread.tid = tid, .forget = 1};
  each_own(&own);
}

/* A child in the memory of its parent goes on with the blocks of the thread that has made it, and may outlive it. */
static __noinline void bequeath(__u32 tid, __u32 heir) {
  struct own_blocks own = {.thread.tid = tid, .heir = heir};
  each_own(&own);
}

#endif
