/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Records of thread blocks, added up. Whoever brings them (their thread with a full ring, the tool, the dying thread) comes by
 * take(), which sees to it that each is counted once. */
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
  __type(value, struct wp_block_key);
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
  __u64 from; /* number of the first record of a loop */
  __u32 shard;
  enum who who;
};

static __always_inline int counts(const struct wp_record *record, __u64 margin) {
  const struct wp_window *window = &windows[record->counter >> 63];
  __u64 after = record->stop - window->since;
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
  if (counts(record, 0)) add_record(records, record);
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

/* Adds up records that have been claimed. */
static __always_inline void add_claimed(const struct wp_block_key *key, struct wp_block_state *state, __u64 first, __u64 end,
                                        enum wp_bringer by, int full_rings) {
  __u32 of_tool = WP_RING_OF_TOOL;
  struct wp_ring *ring = by == WP_BY_TOOL ? bpf_map_lookup_elem(&rings, &of_tool) : own_ring();
  if (!ring ||
      (by != WP_BY_TOOL && bpf_probe_read_user(ring->records, sizeof(ring->records), (void *)(key->block + WP_RING_OFFSET)))) {
    lose_now(&losses.unreadable, end - first);
  } else {
    struct records records = {
        .ring = ring,
        .state = state,
        .incarnation = key->incarnation,
        .from = first,
        .shard = key->block / sizeof(struct wp_block),
        .who = by != WP_BY_TOOL ? CURRENT : STRANGER,
    };
    /* What brings full rings has to be quick; the others spare the verifier the way for those. */
    int all_count = full_rings && counts(&ring->records[first % WP_RING_RECORDS], MARGIN) &&
                    counts(&ring->records[(end - 1) % WP_RING_RECORDS], MARGIN);
    add_all(&records, end - first, all_count);
  }
  if (ring && by != WP_BY_TOOL) __sync_lock_test_and_set(&ring->busy, 0);
}

/* Rounds over the blocks of a thread, for bpf_loop, which ends when they return 1. */
struct own_blocks {
  struct wp_thread_key thread;
  struct wp_block_key key;
  __u32 heir; /* a thread that will have them too */
  int bring;  /* take what they hold */
  int forget; /* the thread has them no more */
};

static long remember_at(__u32 index, struct own_blocks *own) {
  own->thread.index = index;
  struct wp_block_key *known = bpf_map_lookup_elem(&threads, &own->thread);
  if (!known && bpf_map_update_elem(&threads, &own->thread, &own->key, BPF_ANY)) lose_now(&losses.blocks_full, 1);
  return !known || (known->incarnation == own->key.incarnation && known->block == own->key.block);
}

/* Remembers that the current thread owns a block, for the time when it dies: even one for which there was no room, so that what
 * is lost with it is known. */
static __always_inline void remember_owner(const struct wp_block_key *key, struct wp_block_state *state) {
  struct own_blocks own = {.thread.tid = bpf_get_current_pid_tgid(), .key = *key};
  if (state && state->tid == own.thread.tid) return;
  bpf_loop(WP_THREAD_COPIES, remember_at, &own, 0);
  if (state) state->tid = own.thread.tid;
}

/* Counts records [first, first + cnt) of a block, those that nobody has counted yet. Returns an enum wp_verdict. */
static __always_inline int take_as(__u64 incarnation, __u64 block, __u64 first, __u64 cnt, enum wp_bringer by, int full_rings) {
  if (cnt > WP_RING_RECORDS) return WP_NOTHING;
  struct wp_block_key key = {.incarnation = incarnation, .block = block};
  struct wp_block_state *state = state_of(&key, by);
  if (!state) {
    if (by == WP_BY_TOOL) return WP_REFUSE; /* so that the thread tells of the loss, and nobody else */
    lose_now(&losses.blocks_full, cnt);
    return WP_NOTHING;
  }
  __u64 end = first + cnt, before = state->next;
  for (int i = 0; i < 4; i++) {
    enum wp_verdict verdict = wp_judge(before, first, end, by);
    if (verdict != WP_CLAIM) return verdict;
    __u64 seen = __sync_val_compare_and_swap(&state->next, before, end);
    if (seen == before) break;
    before = seen;
    if (i == 3) return WP_REFUSE; /* never: each failure is a claim of another, and there are only the thread and the tool */
  }
  lose_now(&losses.gap, wp_gap(before, first));
  add_claimed(&key, state, wp_first_claimed(before, first), end, by, full_rings);
  if (by != WP_BY_TOOL) remember_owner(&key, state);
  return WP_CLAIM;
}

static __noinline int take(__u64 incarnation, __u64 block, __u64 first, __u64 cnt, enum wp_bringer by) {
  return take_as(incarnation, block, first, cnt, by, 0);
}

static __noinline int take_full_ring(__u64 incarnation, __u64 block, __u64 first, __u64 cnt) {
  return take_as(incarnation, block, first, cnt, WP_BY_THREAD, 1);
}

/* A block of the current thread, as its memory says. */
struct head {
  __u64 incarnation;
  __u64 arena;
  __u64 written;
  __u64 handed;
};

static __always_inline int read_head(__u64 block, struct head *head) {
  return bpf_probe_read_user(head, sizeof(*head), (void *)block) ? -1 : 0;
}

/* What the copy has lost until now, for the tool, which may come too late to read it. */
static __always_inline void keep_losses(const struct head *head) {
  struct wp_arena arena;
  if (bpf_probe_read_user(&arena, sizeof(arena), (void *)head->arena) || arena.incarnation != head->incarnation) return;
  if (arena.lost_reentered | arena.lost_late | arena.clamped_cnt) {
    bpf_map_update_elem(&last_arenas, &head->incarnation, &arena, BPF_ANY);
  }
}

static long own_at(__u32 index, struct own_blocks *own) {
  own->thread.index = index;
  struct wp_block_key *known = bpf_map_lookup_elem(&threads, &own->thread);
  if (!known) return 1;
  own->key = *known;
  struct head head;
  if (own->bring && read_head(own->key.block, &head) == 0 && head.incarnation == own->key.incarnation) {
    take(head.incarnation, own->key.block, head.handed, head.written - head.handed, WP_BY_THREAD);
    keep_losses(&head);
  }
  if (own->heir) {
    struct wp_thread_key heir = {.tid = own->heir, .index = index};
    bpf_map_update_elem(&threads, &heir, &own->key, BPF_ANY);
  }
  if (!own->forget) return 0;
  bpf_map_delete_elem(&threads, &own->thread);
  struct wp_block_state *state = bpf_map_lookup_elem(&blocks, &own->key);
  if (state) state->tid = 0; /* a later thread may get this number, and this block */
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
