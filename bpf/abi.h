/* SPDX-License-Identifier: MIT
 *
 * Every struct that crosses a border: between the library and whoever reads its process's memory, and between the BPF
 * programs and the tool. Plain C, included by BPF, library, tool and tests alike, so that nothing is declared twice.
 *
 * Units: nanoseconds of CLOCK_MONOTONIC wherever a name ends in _ns. Addresses of the traced process are __u64.
 */
#ifndef WAITPROBE_BPF_ABI_H
#define WAITPROBE_BPF_ABI_H

#include "bucket.h"
#include "types.h"

/* ---- library <-> reader of its memory ------------------------------------------------------------------------- */

#define WP_ROOT_MAGIC_ASM 0x31746f6f72707477 /* "wtproot1", as an assembler reads it */
#define WP_ROOT_MAGIC 0x31746f6f72707477ULL
#define WP_ARENA_MAGIC 0x3161656e61707477ULL /* "wtpnaea1" */
#define WP_BLOCK_MAGIC 0x316b636c62707477ULL /* "wtpblck1" */
#define WP_ABI_VERSION 1

#define WP_COUNTER_BUCKETS 1024 /* heads of the hash table of counters */
#define WP_CHUNKS 16            /* chunk i holds WP_FIRST_CHUNK_BLOCKS << i thread blocks */
#define WP_FIRST_CHUNK_BLOCKS 16
#define WP_BLOCK_SLOTS 32 /* open waits a block can hold */

/* The armed word: all zero means that nobody listens. `events` and `batch` are USDT semaphores, written by the kernel
 * alone; zero or not is all they say. `backends` and `self` are written by the library. The word is read as one __u64,
 * and never written as one: that would undo what the kernel wrote meanwhile. */
struct wp_armed {
  __u16 events;
  __u16 batch;
  __u16 backends;
  __u16 self;
};
WP_ASSERT_SIZE(struct wp_armed, 8);

/* Stands in section .probes; the semaphore address in the note of every probe is the address of `armed`, so a reader
 * finds it without a symbol table. */
struct wp_root {
  struct wp_armed armed;
  __u64 magic;
  __u32 version;
  __u32 size;
  __u64 counters; /* address of __u64[counter_buckets]: heads of chains of struct wp_counter */
  __u32 counter_buckets;
  __u32 counter_cnt;
  __u64 arena;             /* address of struct wp_arena, 0 before the first counter */
  __u64 chunks[WP_CHUNKS]; /* addresses of arrays of struct wp_block, 0 where not yet needed */
  __u64 lost_reentered;    /* waits that began in a signal handler which interrupted the start of another */
  __u64 lost_memory;       /* waits that found no memory */
};
WP_ASSERT_SIZE(struct wp_root, 192);

/* One page that a fork leaves zero in the child (MADV_WIPEONFORK), which is how the child knows that it is one. */
struct wp_arena {
  __u64 magic;
  __u64 incarnation; /* random, never 0 once magic is set: tells apart processes that share an address space layout */
};
WP_ASSERT_SIZE(struct wp_arena, 16);

/* A counter, on the heap, never freed. The argument `key` of the probes is the address of key[0], so BPF finds the rest
 * right in front of it. */
struct wp_counter {
  __u64 next;  /* address of the next struct wp_counter of the chain, 0 at its end */
  __u64 arena; /* address of struct wp_arena */
  __u32 id;    /* 0, 1, 2, ... in order of creation */
  __u32 key_len;
  /* char key[key_len], then a zero byte */
};
WP_ASSERT_SIZE(struct wp_counter, 24);

/* One open wait. The slot is free when wait_id is 0. It is taken by its block's thread, and given back by any. A reader passes
 * over a slot whose counter is 0: it is being filled. */
struct wp_open_wait {
  __u64 wait_id;
  __u64 counter; /* address of struct wp_counter */
  __u64 start_ns;
  __u32 backend_cnt; /* how many backends saw the start */
  __u32 more_cap;    /* room at `more` */
  __u64 ctx[3];      /* what the first backends returned from start() */
  __u64 more;        /* address of __u64[more_cap]: what the others returned */
};
WP_ASSERT_SIZE(struct wp_open_wait, 64);

/* A thread's block. Wiped by fork, as the arena is. */
struct wp_block {
  __u64 magic;
  __u64 number;    /* its place among the process's blocks, from 1 */
  __u64 last_seq;  /* wait_id is number << 40 | sequence */
  __u64 next;      /* address of this thread's next block, where one has too few slots */
  __u32 owner_tid; /* 0: no thread owns it, and it can be taken once all its slots are free */
  __u32 pad0;
  __u64 reserved[3];
  struct wp_open_wait open[WP_BLOCK_SLOTS];
};
WP_ASSERT_SIZE(struct wp_block, 2112);

/* ---- BPF <-> tool --------------------------------------------------------------------------------------------- */

#define WP_BUCKETS WP_BUCKET_CNT
#define WP_POOL_SIZE 16384 /* histograms */
#define WP_SHARDS 4        /* histograms one series may have, so that CPUs rarely meet */
#define WP_KEY_MAX 256     /* bytes of a key that BPF copies */
#define WP_COMM_LEN 16
#define WP_TARGETS_MAX 32768

struct wp_series_key {
  __u64 mm;
  __u64 incarnation;
  __u32 counter_id;
  __u32 shard;
};
WP_ASSERT_SIZE(struct wp_series_key, 24);

/* Who a histogram belongs to; at the histogram's index. */
struct wp_series_info {
  __u64 process_start_ns; /* start of the process, by which a reused pid is known */
  __u64 distinct;         /* tells apart counters whose keys are longer than what is kept of them */
  __u32 pid;
  __u32 key_len; /* of the whole key; WP_KEY_MAX bytes of it are here at the most */
  char comm[WP_COMM_LEN];
  char key[WP_KEY_MAX];
};
WP_ASSERT_SIZE(struct wp_series_info, 296);

/* Running totals. The count is the sum of the buckets: no second truth that could disagree. */
struct wp_hist {
  __u64 bucket[WP_BUCKETS];
  __u64 total_ns;
  __u64 inverted_min_ns; /* ~min, so that zero means "none yet" */
  __u64 max_ns;
};
WP_ASSERT_SIZE(struct wp_hist, 2656);

/* Every way to lose a wait inside the kernel. */
struct wp_losses {
  __u64 series_full; /* no histogram left for a new series */
  __u64 unreadable;  /* the counter could not be read from the process's memory */
};
WP_ASSERT_SIZE(struct wp_losses, 16);

/* A process that has just started another program. */
struct wp_exec {
  __u32 pid;
  __u32 pad;
};
WP_ASSERT_SIZE(struct wp_exec, 8);

/* Set by the tool before it loads the programs. */
struct wp_config {
  __u8 filter_targets; /* count only processes in map `targets` */
  __u8 follow_forks;   /* a child of a target becomes a target */
  __u8 pad[6];
};
WP_ASSERT_SIZE(struct wp_config, 8);

#endif
