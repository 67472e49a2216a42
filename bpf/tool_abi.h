/* SPDX-License-Identifier: MIT
 *
 * Every struct that the BPF programs and the tool exchange; those of slow waits are in slow_abi.h. Units are as in abi.h. */
#ifndef WAITPROBE_BPF_TOOL_ABI_H
#define WAITPROBE_BPF_TOOL_ABI_H

#include "abi.h"

#define WP_BUCKETS WP_BUCKET_CNT
#define WP_POOL_SIZE 16384     /* histograms, unless the tool asks for another number */
#define WP_POOL_SIZE_MAX 65536 /* a cached slot has 16 bits */
#define WP_POOL_SIZE_MIN 64
#define WP_SHARDS 4    /* histograms one series may have, so that CPUs rarely meet */
#define WP_KEY_MAX 256 /* bytes of a key that BPF copies */
#define WP_COMM_LEN 16
#define WP_CLOCK_TICK_NS 10000000ULL /* as user space sees them: 100 a second */
#define WP_TARGETS_MAX 32768
#define WP_BLOCKS_MAX 16384 /* thread blocks of all processes */

/* The beginning of struct wp_block: what is read of a block before its records. */
struct wp_block_head {
  __u64 incarnation;
  __u64 arena;
  __u64 written;
  __u64 flushed;
  __u64 owner;
  __u64 last_wait_id;
  __u64 next;
  __u32 owner_tid;
  __u32 tag;
  __u64 ring;
  __u32 ring_records;
  __u32 busy_cnt;
  __u64 busy_since_ns;
  __u64 traces;
};
WP_ASSERT_SIZE(struct wp_block_head, 96);

struct wp_series_key {
  __u64 incarnation;
  __u64 counter; /* address of struct wp_counter */
  __u32 shard;
  __u32 pad;
};
WP_ASSERT_SIZE(struct wp_series_key, 24);

/* Places of a pool that are free, and how many were ever taken: the n-th one was the n-th of the ring of free places. */
struct wp_leases {
  __s64 free;
  __u64 taken;
  __s64 wake_at; /* when no more are free, the tool is told */
};
WP_ASSERT_SIZE(struct wp_leases, 24);
#define WP_NO_PLACE (~0U)

/* A number for a counter of any process, the same whoever computes it. */
static inline __u64 wp_distinct(__u64 incarnation, __u32 counter_id) {
  return incarnation * 0x9e3779b97f4a7c15ULL + counter_id;
}

/* Who a histogram belongs to; at the histogram's index. */
struct wp_series_info {
  struct wp_series_key series;
  __u64 process_start_ticks; /* start of the process in clock ticks since boot, as in /proc: tells a reused pid */
  __u64 distinct;            /* tells apart counters whose keys are longer than what is kept of them */
  __u32 pid;
  __u32 key_len;    /* of the whole key; WP_KEY_MAX bytes of it are here at the most */
  __u32 parent_pid; /* of a process that was forked and has run no other program, when it was seen first; else 0 */
  __u32 flags;      /* of the counter */
  char comm[WP_COMM_LEN];
  char key[WP_KEY_MAX];
};
WP_ASSERT_SIZE(struct wp_series_info, 328);

/* Running totals. The count is the sum of the buckets: no second truth that could disagree. */
struct wp_hist {
  __u64 bucket[WP_BUCKETS];
  __u64 total_ns;
  __u64 inverted_min_ns; /* ~min, so that zero means "none yet" */
  __u64 max_ns;
};
WP_ASSERT_SIZE(struct wp_hist, 2792);

/* A thread block, of whatever process. */
struct wp_block_key {
  __u64 incarnation;
  __u64 block; /* address */
};
WP_ASSERT_SIZE(struct wp_block_key, 16);

/* What is known of a block. `slots` is a small cache, one word an entry, written in one store: the address of a counter, and
 * above it, at WP_REF_ID_SHIFT, the index of its histogram. */
#define WP_SLOT_CACHE 32
struct wp_block_state {
  struct wp_block_key key;
  __u64 next;      /* all records before it have been claimed: see claim.h */
  __u64 offset_ns; /* of its process's CLOCK_MONOTONIC from the machine's, when records were taken last; or WP_OFFSET_UNKNOWN */
  __u32 tid;       /* the thread whose death will bring the rest */
  __u32 pid;       /* the process that has shown it */
  __u64 epoch;     /* of `slots`: they are worth nothing when slot_epoch is another */
  __u64 slots[WP_SLOT_CACHE];
};
WP_ASSERT_SIZE(struct wp_block_state, 304);
#define WP_OFFSET_UNKNOWN (~0ULL)

/* The blocks of a thread, one in each instance of the library: its entries are {tid, 0}, {tid, 1}, ... without a hole. */
struct wp_thread_key {
  __u32 tid;
  __u32 index;
};
WP_ASSERT_SIZE(struct wp_thread_key, 8);
#define WP_THREAD_INSTANCES 64

/* One of them. */
struct wp_owned_block {
  struct wp_block_key key;
  __u32 owner_tid; /* as the block named its owner then: another one later on means that the thread has given it back */
  __u32 pad;
};
WP_ASSERT_SIZE(struct wp_owned_block, 24);

/* An instance of the library in a process: it has one arena. */
struct wp_arena_key {
  __u32 pid;
  __u32 index; /* of the instance, below WP_THREAD_INSTANCES */
};
WP_ASSERT_SIZE(struct wp_arena_key, 8);

struct wp_known_arena {
  __u64 incarnation;
  __u64 arena; /* address of struct wp_arena */
};
WP_ASSERT_SIZE(struct wp_known_arena, 16);

#define WP_LAST_ARENAS 4096 /* processes that have ended, or whose threads have, and had lost something */

/* Which waits count, by the moment they stopped: from `since` on, less than `span` later. And how that clock's units become
 * nanoseconds: units * mult >> shift. The tool writes `shift` before anything counts, and `mult` and `span` at any time. */
struct wp_window {
  __u64 since;
  __u64 span;
  __u32 mult;
  __u32 shift;
};
WP_ASSERT_SIZE(struct wp_window, 24);
#define WP_WINDOW_NS 0     /* times in nanoseconds of the machine's CLOCK_MONOTONIC: mult 1, shift 0 */
#define WP_WINDOW_CYCLES 1 /* times in ticks of the cycle counter */

/* Every way to lose a wait inside the kernel. */
struct wp_losses {
  __u64 series_full; /* no histogram left for a new series */
  __u64 unreadable;  /* the counter could not be read from the process's memory */
  __u64 gap;         /* passed over by their thread before anybody claimed them */
  __u64 blocks_full; /* no room for one more thread block */
};
WP_ASSERT_SIZE(struct wp_losses, 32);

/* A ring of records on its way from a process into the totals, in the kernel: record n at n % WP_RING_RECORDS, as in its block.
 * The last one is the tool's. What programs need on that way stands here and not on their stack, where the verifier would follow
 * each value that it knows. */
#define WP_RINGS 257
#define WP_RING_OF_TOOL (WP_RINGS - 1)
struct wp_ring {
  __u64 busy;
  __u64 incarnation;
  /* Of the process's CLOCK_MONOTONIC from the machine's: now, and when records of the block were taken last. The process may have
   * entered another time namespace in between, and nobody tells which of the two a record is of. */
  __u64 offset_ns;
  __u64 offset_before_ns;
  __u64 address; /* of the ring of the current thread; 0: the tool has brought the records */
  __u64 traces;  /* address of its trace ids; 0: there are none */
  __u32 ring_records;
  __u32 any_left; /* whether anything in `left` is set */
  __u64 from;     /* the next record */
  __u64 end;      /* of a thread's ring, as the next ones */
  __u64 part_end; /* of the part that has been copied */
  __u64 eights;   /* of the part: those that are added eight at a time */
  __u64 eights_end;
  __u8 left[WP_RING_RECORDS / 8]; /* bits: of each eight records, those that are still to be added */
  struct wp_record records[WP_RING_RECORDS];
};
WP_ASSERT_SIZE(struct wp_ring, 6272);

/* Exemplars of a series: group i is the buckets of bpf/bucket.h up to 2^(i-20) s, group 0 all up to 2^-20 s. */
#define WP_EXEMPLARS 35
static inline __u32 wp_exemplar_group(__u32 bucket) {
  __u32 octave = (bucket + 7) >> 3, first = (WP_BUCKET_OF_1S >> 3) - 20;
  return (octave - first) * wp_exceeds(octave, first);
}

struct wp_exemplar {
  __u64 duration_ns;
  __u64 stop;  /* nanoseconds of the machine's CLOCK_MONOTONIC; with WP_STOP_CYCLES, ticks of the cycle counter */
  __u32 tid;   /* of the machine; 0: not known */
  __u32 round; /* of struct wp_exemplars */
  struct wp_trace_id trace;
};
WP_ASSERT_SIZE(struct wp_exemplar, 40);
#define WP_STOP_CYCLES (1ULL << 63)

struct wp_exemplars {
  __u64 busy; /* somebody is writing */
  struct wp_exemplar of[WP_EXEMPLARS];
};
WP_ASSERT_SIZE(struct wp_exemplars, 1408);

/* Where a ring is added up before it goes into the totals: a sum for each entry of the cache of its block. */
#define WP_TALLIES 64
#define WP_TALLY_GROUPS 64
#define WP_TALLY_KEPT 256
struct wp_tally {
  __u64 busy;
  __u64 known[WP_SLOT_CACHE]; /* as struct wp_block_state.slots, when the ring was begun */
  __u64 total_ns[WP_SLOT_CACHE];
  __u64 room_ns[WP_SLOT_CACHE]; /* from the least to WP_BUCKET_END_NS; 0: nothing was added */
  __u64 max_ns[WP_SLOT_CACHE];
  __u32 count[WP_SLOT_CACHE][WP_BUCKETS];
  /* duration << WP_NUMBER_BITS | low bits of the number of the record; 0: none. More than groups, so that an index can be masked. */
  __u64 slowest[WP_SLOT_CACHE][WP_TALLY_GROUPS];
  __u64 kept[WP_TALLY_KEPT]; /* of `slowest`, those that are to become exemplars; more of them are passed over */
  __u32 kept_slot[WP_TALLY_KEPT];
  __u64 kept_cnt;
};
WP_ASSERT_SIZE(struct wp_tally, 64784);
#define WP_NUMBER_BITS 12 /* WP_LONG_RING_RECORDS is no more than 2 to this power, and a duration has room above them */

/* What the tool brings, in its ring, by program `claim`. */
struct wp_claim {
  struct wp_block_key key;
  __u64 first;
  __u64 cnt;
  __u64 offset_ns; /* of its process's CLOCK_MONOTONIC from the machine's */
  __u32 pid;
  __u32 pad;
};
WP_ASSERT_SIZE(struct wp_claim, 48);

/* An entry of a thread or a process that the tool takes out, for program `forget`: its instance of the library has been closed. */
struct wp_forgotten {
  struct wp_thread_key thread;
  struct wp_arena_key arena;
  __u64 incarnation;
};
WP_ASSERT_SIZE(struct wp_forgotten, 24);

/* A process that has shown a block which was not known: the tool is to look at it. */
struct wp_discovery {
  __u64 incarnation; /* 0: of no process; places are to be given back */
  __u32 pid;
  __u32 unused;
};
WP_ASSERT_SIZE(struct wp_discovery, 16);

/* What doctor.bpf.c has seen of the probe that the tool fires on itself. */
struct wp_self_test {
  __u64 hits;
  __u64 number; /* the first argument */
  __u64 read;   /* what the second one points to */
};
WP_ASSERT_SIZE(struct wp_self_test, 24);

/* Set by the tool before it loads the programs. */
struct wp_config {
  __u8 filter_targets; /* count only processes in map `targets` */
  __u8 follow_forks;   /* a child of a target becomes a target */
  __u8 measures_run_time;
  __u8 keeps_exemplars;
  __u32 pool_size;          /* histograms */
  __u64 boottime_offset_ns; /* of the tool's CLOCK_BOOTTIME from the machine's: /proc shows it moments of its own */
};
WP_ASSERT_SIZE(struct wp_config, 16);

#endif
