/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Adds up the records of thread blocks. The thread brings them when its ring is full or when it ends, and the tool when it
 * reads blocks. All of them call claim_records(), which makes sure that each record is counted once. */
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

/* No counter stands at the address of all ones, nor does a histogram there: a process that lies must not hit upon an empty
 * entry. */
const struct wp_block_state new_block = {
    .next = WP_NEXT_UNKNOWN, .offset_ns = WP_OFFSET_UNKNOWN, .slots = {[0 ... WP_SLOT_CACHE - 1] = ~0ULL}};
struct wp_claim claimed;
__u64 block_cnt; /* entries of `blocks` */

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 18);
} discoveries SEC(".maps");
__u64 untold_cnt; /* discoveries for which there was no room */

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
  /* Of their process's CLOCK_MONOTONIC from the machine's: now, and when records of the block were taken last. A process may
   * have entered another time namespace in between, and nobody tells which of the two a record is of. */
  __u64 offset_ns;
  __u64 offset_before_ns;
  __u64 from; /* number of the first record of a loop */
  __u32 shard;
  enum series_source source;
};

static __always_inline int is_within(__u64 after, __u64 span, __u64 margin) {
  return span > margin && after >= margin && after < span - margin;
}

static __always_inline int counts(const struct records *records, const struct wp_record *record, __u64 margin) {
  const struct wp_window *window = &windows[record->counter >> 63];
  __u64 after = record->stop - window->since;
  if (record->counter & WP_REF_CYCLES) return is_within(after, window->span, margin);
  return is_within(after - records->offset_ns, window->span, margin) ||
         is_within(after - records->offset_before_ns, window->span, margin);
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
    slot = slot_of(records->incarnation, counter, records->shard, records->source);
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
  struct wp_discovery *discovery = bpf_ringbuf_reserve(&discoveries, sizeof(*discovery), 0);
  if (!discovery) {
    __sync_fetch_and_add(&untold_cnt, 1);
    return;
  }
  discovery->incarnation = key->incarnation;
  discovery->pid = bpf_get_current_pid_tgid() >> 32;
  discovery->unused = 0;
  bpf_ringbuf_submit(discovery, 0);
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
  __u64 offset_ns = by != WP_BY_TOOL ? monotonic_offset_ns() : claimed.offset_ns, before_ns = state->offset_ns;
  state->offset_ns = offset_ns;
  struct records records = {
      .ring = ring,
      .state = state,
      .incarnation = key->incarnation,
      .offset_ns = offset_ns,
      .offset_before_ns = before_ns != WP_OFFSET_UNKNOWN ? before_ns : offset_ns,
      .from = first,
      .shard = key->block / sizeof(struct wp_block),
      .source = by != WP_BY_TOOL ? FROM_THREAD : FROM_TOOL_UNINTRODUCED,
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

#endif
