/* SPDX-License-Identifier: MIT
 *
 * Every struct that the library and whoever reads its process's memory have in common; what BPF programs and the tool exchange is
 * in tool_abi.h. Plain C, included by BPF, library, tool and tests alike, so that nothing is declared twice.
 *
 * Units: nanoseconds of CLOCK_MONOTONIC wherever a name ends in _ns: of the clock of its time namespace where a process writes
 * it, of the machine's own (bpf_ktime_get_ns()) between BPF and tool. Addresses of the traced process are __u64.
 */
#ifndef WAITPROBE_BPF_ABI_H
#define WAITPROBE_BPF_ABI_H

#include "bucket.h"
#include "types.h"

/* ---- library <-> reader of its memory ------------------------------------------------------------------------- */

#define WP_ROOT_MAGIC_ASM 0x31746f6f72707477 /* "wtproot1", as an assembler reads it */
#define WP_ROOT_MAGIC 0x31746f6f72707477ULL
#define WP_ABI_VERSION 4

#define WP_COUNTER_BUCKETS 1024 /* heads of the hash table of counters */
#define WP_CHUNKS 16            /* chunk i holds WP_FIRST_CHUNK_BLOCKS << i thread blocks */
#define WP_FIRST_CHUNK_BLOCKS 16
#define WP_BLOCK_SLOTS 30            /* open waits a block can hold */
#define WP_RING_RECORDS 256U         /* ended waits that the ring of a block can hold, and that are copied at once */
#define WP_LONG_RING_RECORDS 4096U   /* that the ring of a block can hold whose thread is busy */
#define WP_PATIENCE_NS 2000000000ULL /* how long an instance that begins waits for the tool that has started its program */

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

/* The probes, in the order of their notes: name, where its semaphore is in struct wp_armed, the shortest wait it fires for,
 * and its arguments. */
#define WP_SLOW_PROBES(X)                                                           \
  X(wait_slow_1us, 0, 1000, "key timestamp_ns duration_ns wait_id trace_id")        \
  X(wait_slow_10us, 0, 10000, "key timestamp_ns duration_ns wait_id trace_id")      \
  X(wait_slow_100us, 0, 100000, "key timestamp_ns duration_ns wait_id trace_id")    \
  X(wait_slow_1ms, 0, 1000000, "key timestamp_ns duration_ns wait_id trace_id")     \
  X(wait_slow_10ms, 0, 10000000, "key timestamp_ns duration_ns wait_id trace_id")   \
  X(wait_slow_100ms, 0, 100000000, "key timestamp_ns duration_ns wait_id trace_id") \
  X(wait_slow_1s, 0, 1000000000, "key timestamp_ns duration_ns wait_id trace_id")
#define WP_EVENT_PROBES(X)                                            \
  X(wait_start, 0, 0, "key timestamp_ns wait_id")                     \
  X(wait_stop, 0, 0, "key timestamp_ns duration_ns wait_id trace_id") \
  WP_SLOW_PROBES(X)
#define WP_PROBES(X)                           \
  WP_EVENT_PROBES(X)                           \
  X(wait_block, 2, 0, "block tid incarnation") \
  X(wait_batch, 2, 0, "block first count incarnation")

/* What the guards of a process read the time from. */
enum wp_clock {
  WP_CLOCK_UNDECIDED, /* nobody has listened yet */
  WP_CLOCK_MONOTONIC, /* CLOCK_MONOTONIC, for all waits */
  WP_CLOCK_CYCLES,    /* the cycle counter, for waits of which only batches tell */
  WP_CLOCK_DISAGREED, /* CLOCK_MONOTONIC for good, because the cycle counter ran differently */
};

/* Whether a wait may need a system call. */
enum wp_prepared {
  WP_PREPARED_NOTHING,  /* there was no memory at the start, or the library is an old one: the first wait of each thread does */
  WP_PREPARED_AT_START, /* threads beyond the first WP_FIRST_CHUNK_BLOCKS do */
  WP_PREPARED_ALL,      /* none does: by WAITPROBE_PREPARE or waitprobe_prepare() */
};
#define WP_PREPARED_AT_START_ASM 1

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
  __u32 clock;             /* enum wp_clock */
  __u32 prepared;          /* enum wp_prepared */
  __u64 chunks[WP_CHUNKS]; /* addresses of arrays of struct wp_block, 0 where not yet needed */
  __u64 lost_memory;       /* waits that found none while there was no arena to count them in */
};
WP_ASSERT_SIZE(struct wp_root, 192);

/* One page that a fork leaves zero in the child (MADV_WIPEONFORK), which is how the child knows that it is one. */
struct wp_arena {
  __u64 incarnation;    /* random, 0 before the first block: names this instance of the library in this address space */
  __u64 block_cnt;      /* blocks beyond these have never been taken */
  __u64 lost_reentered; /* waits amid the start or the stop of another of their thread */
  __u64 lost_late;      /* waits that ended after their thread's block was handed back, and found no other */
  __u64 clamped_cnt;    /* waits whose clock went backwards: their duration counts as 0 */
  __u64 abandoned_cnt;  /* waits that never ended: their guards were gone, and their slots were taken back */
  __u64 lost_stale;     /* waits that ended after their slots had been taken back */
  __u64 suspect_cnt;    /* for the library: open waits whose guards may be gone */
  __u64 searched;       /* for the library: the number of the block after which to look for a free one */
  __u64 lost_memory;    /* waits that found no memory */
  __u64 long_rings;     /* for the library: a bit for each long ring that a block has */
};
WP_ASSERT_SIZE(struct wp_arena, 88);

/* What the waits of a key are, as the program says: a value in flags of struct wp_counter. */
enum wp_key_class {
  WP_CLASS_WAIT, /* for something that keeps the thread from its work; what is not said, or not known, is this */
  WP_CLASS_IDLE, /* for work: by a worker whose queue is empty, by an accept loop */
  WP_CLASS_WORK, /* none: a piece of work that is measured */
};
#define WP_FLAGS_CLASS 3U /* the bits of the class */

/* A counter, on the heap, never freed. The argument `key` of the probes is the address of key[0], so BPF finds the rest
 * right in front of it. */
struct wp_counter {
  __u64 next;  /* address of the next struct wp_counter of the chain, 0 at its end */
  __u64 arena; /* address of struct wp_arena */
  __u32 id;    /* 0, 1, 2, ... in order of creation */
  __u32 key_len;
  __u32 flags; /* WP_FLAGS_... */
  __u32 pad;
  /* char key[key_len], then a zero byte */
};
WP_ASSERT_SIZE(struct wp_counter, 32);

/* How records and open waits name a counter: its address, the low bits of its id (which spread well where addresses do not),
 * and which clock their times are of. */
#define WP_REF_ADDRESS 0x0000ffffffffffffULL
#define WP_REF_ID_SHIFT 48
#define WP_REF_ID_MASK 0x3fffU
#define WP_REF_ELSEWHERE (1ULL << 62) /* of a record: another thread has ended the wait than the one whose block it was in */
#define WP_REF_CYCLES (1ULL << 63)    /* times are ticks of the cycle counter; otherwise nanoseconds */

/* One open wait. The slot is free when wait_id is 0. It is taken by its block's thread, and given back by any. A reader passes
 * over a slot whose counter is 0: it is being filled. */
struct wp_open_wait {
  __u64 wait_id;
  __u64 counter; /* WP_REF_... */
  __u64 start;
  __u8 backend_cnt; /* how many backends saw the start: 0 to 3; 4: more, and `more` begins with their number */
  __u8 outer;       /* WP_OUTER_...; written by the block's thread alone */
  __u16 site;       /* of a scoped guard: the low bits of where the code that started it stands */
  __u32 frame;      /* of a scoped guard: the low bits of the stack address of its function, and WP_FRAME_...; else 0 */
  __u64 ctx[3];     /* what the first backends returned from start() */
  __u64 more;       /* address of a page or more with what the others returned; in its low bits, the log2 of its words */
};
WP_ASSERT_SIZE(struct wp_open_wait, 64);
#define WP_FRAME_SUSPECT 1U     /* a later start of its thread says that the guard may be gone */
#define WP_FRAME_MAY_SUSPEND 2U /* its function may be a coroutine, whose guards live on while its frame has left the stack */
#define WP_FRAME_FLAGS 15U
#define WP_OUTER_LINKED 0x80U /* the slot is in the list that begins at wp_inside.innermost; it may be free by now */
#define WP_OUTER_PLACE 0x1fU  /* the next one of the list: the index of its slot plus 1, 0 at the end */

/* One wait that has ended. */
struct wp_record {
  __u64 counter; /* WP_REF_... */
  __u64 duration;
  __u64 stop;
};
WP_ASSERT_SIZE(struct wp_record, 24);

/* What a thread is inside of: of its open waits, the one that began last. Whoever interrupts the thread, as a BPF program at a
 * context switch does, reads it at once. The thread alone writes here, except `elsewhere`, in such an order that these rules hold
 * wherever it is interrupted:
 *
 *  - `counter` is not 0: counter, wait_id and start are those of the wait in slot `innermost`. It is open, unless another thread
 *    has ended it. In that case `elsewhere` has grown since it began, and the slot has another wait_id or none.
 *  - `counter` and `innermost` are 0: the thread is not inside of a wait.
 *  - Otherwise, and for a wait that another thread has ended: follow the list from `innermost` by wp_open_wait.outer, at most
 *    WP_BLOCK_SLOTS steps. The first slot whose wait_id and counter are not 0 has the wait that the thread is inside of.
 *
 * Whoever reads while the thread runs reads twice, and takes what is the same in both. Only the first block of a thread has a
 * list: in its others (`owner` is 0) and in one that nobody owns, `counter` and `innermost` are 0. */
struct wp_inside {
  __u64 counter; /* WP_REF_... */
  __u64 wait_id;
  __u64 start;
  __u32 elsewhere; /* waits of this block that ended without its thread taking them out of the list */
  __u16 pad;
  __u8 innermost; /* the index of its slot plus 1 */
  __u8 depth;     /* how long the list is, free slots included */
};
WP_ASSERT_SIZE(struct wp_inside, 32);

/* A thread's block: two pages, aligned to its size, wiped by fork as the arena is.
 *
 * Record number n (0, 1, 2, ... over the whole life of the block, whoever owns it) stands in the ring, at n % ring_records. Only
 * the owner writes there: first the record, then `written`; and record n is not begun before `flushed` > n - ring_records
 * has been stored. So whoever reads `written`, then records, then `flushed`, has whole records from `flushed` up to
 * `written`.
 *
 * The ring is own_ring, or a longer one while the thread is busy. It changes only when `flushed` is equal to `written`. So whoever
 * reads `ring` before the records and after them, and sees the same, has read them where they were. */
struct wp_block {
  __u64 incarnation; /* of the arena, 0 before the block is first taken */
  __u64 arena;       /* address of struct wp_arena */
  __u64 written;     /* records ever written; only grows */
  __u64 flushed;     /* of these, how many the thread has flushed; only grows */
  __u64 owner; /* address of the owner's thread state, by which it knows its block after a fork; 0: it keeps no records here */
  __u64 last_wait_id; /* the block's number << 44 | sequence */
  __u64 next;         /* where a thread has several: of its first one, the one to look at next; of the others, a ring */
  __u32 owner_tid;    /* 0: no thread owns it, and it can be taken once all its slots are free */
  __u32 tag;          /* low bits of the incarnation */
  __u64 ring;         /* address of the records */
  __u32 ring_records; /* how many there is room for: WP_RING_RECORDS or WP_LONG_RING_RECORDS */
  __u32 busy_cnt;     /* for the library: rings that were full since `busy_since_ns` */
  __u64 busy_since_ns;
  __u64 traces; /* address of struct wp_traces; 0: no owner of the block has said a trace id yet */
  struct wp_inside inside;
  struct wp_open_wait open[WP_BLOCK_SLOTS];
  struct wp_record own_ring[WP_RING_RECORDS];
};
WP_ASSERT_SIZE(struct wp_block, 8192);
#define WP_BLOCK_HEADER 128 /* bytes before `open` */

/* Whether a ring can have so many records: a block that says otherwise lies. */
static inline int wp_is_ring(__u32 records) { return records == WP_RING_RECORDS || records == WP_LONG_RING_RECORDS; }

#define WP_INSIDE_OFFSET 96 /* aligned to its size */

/* What a thread works for: the bytes of a trace id, as W3C Trace Context has them. All zero: nothing that it has said. */
struct wp_trace_id {
  __u64 half[2]; /* as they stand in memory, whatever the byte order */
};
WP_ASSERT_SIZE(struct wp_trace_id, 16);

/* The trace ids of a block; wiped by fork as the block is. Those of records stand as the records do in own_ring; those of a long
 * ring stand behind its records. One is written before `written` grows, and whoever reads it follows the rules of records. */
struct wp_traces {
  struct wp_trace_id open[WP_BLOCK_SLOTS]; /* of the wait in each slot: what its thread had said when it began */
  struct wp_trace_id of_own_ring[WP_RING_RECORDS];
};
WP_ASSERT_SIZE(struct wp_traces, 4576);

/* Address of the trace ids of a ring, which stand in the order of its records. REQUIRES: wp_is_ring(ring_records). */
static inline __u64 wp_traces_of_ring(__u64 traces, __u64 ring, __u32 ring_records) {
  return ring_records == WP_RING_RECORDS ? traces + WP_BLOCK_SLOTS * sizeof(struct wp_trace_id)
                                         : ring + WP_LONG_RING_RECORDS * sizeof(struct wp_record);
}
#define WP_RING_OFFSET 2048

#endif
