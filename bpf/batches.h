/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Adds up the records of thread blocks. The thread brings them when its ring is full or when it ends, and the tool when it
 * reads blocks. All of them call claim_records(), which makes sure that each record is counted once. */
#ifndef WAITPROBE_BPF_BATCHES_H
#define WAITPROBE_BPF_BATCHES_H

#include "tool_abi.h"
#include "blocks.h"
#include "claim.h"
#include "exemplars.h"
#include "kernel.h"
#include "series.h"
#include "tally.h"
#include "targets.h"

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

/* The way of records into the totals. */
struct walk {
  struct wp_ring *ring;
  struct wp_block_state *state; /* of their block */
  struct wp_tally *tally;       /* or null */
};

static __always_inline int is_within(__u64 after, __u64 span, __u64 margin) {
  return span > margin && after >= margin && after < span - margin;
}

static __always_inline int counts(const struct wp_ring *ring, const struct wp_record *record, __u64 margin) {
  const struct wp_window *window = &windows[record->counter >> 63];
  __u64 after = record->stop - window->since;
  if (record->counter & WP_REF_CYCLES) return is_within(after, window->span, margin);
  return is_within(after - ring->offset_ns, window->span, margin) ||
         is_within(after - ring->offset_before_ns, window->span, margin);
}

/* Milliseconds, whatever the clock. Records of a block stand in the order of their stops but for those of signal handlers,
 * which come before the wait that they interrupted. */
#define MARGIN (1ULL << 24)

static __always_inline __u64 *cached_slot(const struct walk *walk, const struct wp_record *record) {
  return &walk->state->slots[record->counter >> WP_REF_ID_SHIFT & (WP_SLOT_CACHE - 1)];
}

static __always_inline __u64 duration_of(const struct wp_record *record) {
  __u64 duration = record->duration;
  /* That of nanoseconds multiplies by 1. */
  const struct wp_window *window = &windows[record->counter >> 63];
  __u64 high = duration >> 32, low = (__u32)duration;
  return (high * window->mult << (32 - window->shift)) + (low * window->mult >> window->shift);
}

/* Any record that counts, the one before `from`. */
static __noinline int add_record(const struct walk *walk, const struct wp_record *record) {
  const struct wp_ring *ring = walk->ring;
  __u64 *cached = cached_slot(walk, record), counter = record->counter & WP_REF_ADDRESS;
  __u32 slot = *cached >> WP_REF_ID_SHIFT;
  if ((*cached & WP_REF_ADDRESS) != counter) {
    slot = slot_of(ring->incarnation, counter, walk->state->key.block / sizeof(struct wp_block),
                   is_from_thread(ring) ? FROM_THREAD : FROM_TOOL_UNINTRODUCED);
    if (slot < WP_POOL_SIZE_MAX) *cached = (__u64)slot << WP_REF_ID_SHIFT | counter;
  }
  __u64 duration_ns = duration_of(record);
  add_wait_at(slot, duration_ns);
  if (config.keeps_exemplars) {
    __u32 tid = is_from_thread(ring) ? (__u32)bpf_get_current_pid_tgid() : walk->state->tid;
    keep_exemplar(slot, duration_ns, record, ring->from - 1, tid, ring);
  }
  return 0;
}

/* Eight records that all count, into the tally: the totals are shared, and an atomic addition to them costs as much as all the rest of
 * a record. Without a call, which costs more than a record does: CPUs that guard against SRSO pay for each return. What is not in the
 * cache is left for later. Nor would 6.12 allow a call to a function that is not static. */
#define UNROLLED 8

static long add_eight(__u32 round, struct walk *walk) {
  struct wp_ring *ring = walk->ring;
  struct wp_tally *tally = walk->tally;
  __u32 eight = ring->eights / UNROLLED + round;
  const struct wp_record *some = &ring->records[eight * UNROLLED % WP_RING_RECORDS];
  __u8 *left = &ring->left[eight % (WP_RING_RECORDS / UNROLLED)];
  if (!tally) return 1; /* never: for the verifier */
  /* Not in a register: the verifier would follow each of its values. */
  *left = 0;
#pragma unroll
  for (int i = 0; i < UNROLLED; i++) {
    __u32 entry = some[i].counter >> WP_REF_ID_SHIFT & (WP_SLOT_CACHE - 1);
    __u64 duration_ns = duration_of(&some[i]);
    if (((tally->known[entry] ^ some[i].counter) & WP_REF_ADDRESS) || duration_ns >= WP_BUCKET_END_NS) {
      *left |= 1U << i;
    } else {
      __u32 bucket = wp_bucket_before_last(duration_ns);
      if (bucket >= WP_BUCKETS) continue; /* never: for the verifier */
      tally->count[entry][bucket]++;
      tally->total_ns[entry] += duration_ns;
      raise_own(&tally->room_ns[entry], WP_BUCKET_END_NS - duration_ns);
      raise_own(&tally->max_ns[entry], duration_ns);
      if (config.keeps_exemplars) {
        __u64 number = (eight * UNROLLED + i) & ((1U << WP_NUMBER_BITS) - 1);
        __u32 group = wp_exemplar_group(bucket) % WP_TALLY_GROUPS;
        raise_own(&tally->slowest[entry][group], duration_ns << WP_NUMBER_BITS | number);
      }
    }
  }
  ring->any_left |= *left;
  return 0;
}

/* The ring of a thread is copied in parts of WP_RING_RECORDS: record n stands in part n / WP_RING_RECORDS, and there where it
 * stands in the copy. Of as many records as a long ring holds, the first and the last may be in the same part. */
#define WP_RING_PARTS (WP_LONG_RING_RECORDS / WP_RING_RECORDS + 1)

static __always_inline __u64 end_of_part(__u64 first, __u64 end) {
  __u64 next = (first | (WP_RING_RECORDS - 1)) + 1;
  return next < end ? next : end;
}

/* The part of a thread's ring that record `first` is in. REQUIRES: wp_is_ring(ring_records). */
static __always_inline int copy_part(struct wp_ring *ring, __u64 address, __u32 ring_records, __u64 first) {
  __u64 at = first & (ring_records - 1) & ~(__u64)(WP_RING_RECORDS - 1);
  return !ring || bpf_probe_read_user(ring->records, sizeof(ring->records), (void *)(address + at * sizeof(struct wp_record)))
             ? -1
             : 0;
}

/* Copies the next part, and adds eight at a time what can be added so. */
static __always_inline void begin_part(struct walk *walk) {
  struct wp_ring *ring = walk->ring;
  __u64 first = ring->part_end, end = end_of_part(first, ring->end);
  ring->part_end = ring->from = end;
  if (copy_part(ring, ring->address, ring->ring_records, first)) {
    lose_now(&losses.unreadable, end - first);
    return;
  }
  ring->eights = ring->eights_end = (first + UNROLLED - 1) & ~(__u64)(UNROLLED - 1);
  ring->any_left = 0;
  if (walk->tally && end > ring->eights && counts(ring, &ring->records[first % WP_RING_RECORDS], MARGIN) &&
      counts(ring, &ring->records[(end - 1) % WP_RING_RECORDS], MARGIN)) {
    ring->eights_end = end & ~(__u64)(UNROLLED - 1);
    bpf_loop((ring->eights_end - ring->eights) / UNROLLED, add_eight, walk, 0);
  }
  if (ring->any_left || first < ring->eights || ring->eights_end < end) ring->from = first;
}

static __always_inline int is_added(const struct wp_ring *ring, __u64 number) {
  if (number < ring->eights || number >= ring->eights_end) return 0;
  return !(ring->left[number / UNROLLED % (WP_RING_RECORDS / UNROLLED)] >> number % UNROLLED & 1);
}

/* A step on the way through a thread's ring: to the next part, or over one record, which is added unless it was. All in one loop,
 * since the verifier goes through loops within loops for too long. */
static long add_some(__u32 step, struct walk *walk) {
  struct wp_ring *ring = walk->ring;
  __u64 number = ring->from;
  if (number == ring->part_end) {
    if (number == ring->end) return 1;
    begin_part(walk);
    return 0;
  }
  ring->from = number + 1;
  if (is_added(ring, number)) return 0;
  const struct wp_record *record = &ring->records[number % WP_RING_RECORDS];
  if (counts(ring, record, 0)) add_record(walk, record);
  return 0;
}

/* Adds up records [first, end) of a thread's ring. REQUIRES: they have been claimed, and the thread writes nothing meanwhile. */
static __always_inline void add_ring(struct walk *walk, __u64 first, __u64 end) {
  struct wp_ring *ring = walk->ring;
  ring->from = ring->part_end = first;
  ring->end = end;
  ring->eights = ring->eights_end = 0;
  walk->tally = begin_tally(walk->state);
  bpf_loop(WP_LONG_RING_RECORDS + WP_RING_PARTS + 1, add_some, walk, 0);
  end_tally(walk->tally, ring);
}

/* Adds up records [first, end), which are in the ring in the kernel. */
static long add_one(__u32 round, struct walk *walk) {
  struct wp_ring *ring = walk->ring;
  const struct wp_record *record = &ring->records[ring->from++ % WP_RING_RECORDS];
  if (counts(ring, record, 0)) add_record(walk, record);
  return 0;
}

static __always_inline void add_copied(struct walk *walk, __u64 first, __u64 end) {
  walk->ring->from = first;
  bpf_loop(unknown(end - first), add_one, walk, 0);
}

/* For the records of a block, of which those that were taken last were taken before this. `head` of what the current thread brings:
 * null where the tool does. */
static __always_inline struct walk begin_walk(const struct wp_block_key *key, struct wp_block_state *state,
                                              struct wp_ring *ring, const struct wp_block_head *head) {
  ring->incarnation = key->incarnation;
  ring->offset_ns = head ? monotonic_offset_ns() : claimed.offset_ns;
  ring->offset_before_ns = state->offset_ns != WP_OFFSET_UNKNOWN ? state->offset_ns : ring->offset_ns;
  ring->address = head ? head->ring : 0;
  ring->ring_records = head ? head->ring_records : WP_RING_RECORDS;
  ring->traces = head && head->traces ? wp_traces_of_ring(head->traces, head->ring, head->ring_records) : 0;
  state->offset_ns = ring->offset_ns;
  renew_cache(state);
  return (struct walk){.ring = ring, .state = state};
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
  if (verdict == WP_CLAIM && ring) {
    struct walk walk = begin_walk(key, state, ring, NULL);
    add_copied(&walk, from, first + cnt);
  }
  return verdict;
}

#endif
