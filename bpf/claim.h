/* SPDX-License-Identifier: MIT
 *
 * Decides who may count a record. The records of a block are numbered; all before `next` have been claimed. Whoever brings
 * records claims them first by moving `next` past them, and then adds up only what it has claimed. So each record is counted
 * once, however many bring it. tests/unit/claim_test.cpp explores every interleaving of thread, tool and dying thread. */
#ifndef WAITPROBE_BPF_CLAIM_H
#define WAITPROBE_BPF_CLAIM_H

#include "types.h"

enum wp_bringer {
  WP_BY_THREAD, /* the thread that owns the block, alive or dying: nobody else can bring what it has passed over */
  WP_BY_TOOL,   /* which has read the block a while ago */
};

enum wp_verdict {
  WP_CLAIM,   /* move `next` to the end */
  WP_NOTHING, /* all of them have been claimed */
  WP_REFUSE,  /* records between `next` and the first are still to come, from their thread */
};

/* `next` of a block of which nothing has been claimed. Records before the first that is brought were flushed before anybody
 * listened: they are nobody's loss. */
#define WP_NEXT_UNKNOWN (~0ULL)

/* What may be done with records [first, end) when all before `next` have been claimed. */
static inline enum wp_verdict wp_judge(__u64 next, __u64 first, __u64 end, enum wp_bringer by) {
  if (next == WP_NEXT_UNKNOWN) return end > first ? WP_CLAIM : WP_NOTHING;
  if (end <= next) return WP_NOTHING;
  if (first > next && by == WP_BY_TOOL) return WP_REFUSE;
  return WP_CLAIM;
}

/* After a claim that moved `next` from `before`: the first record to add up. */
static inline __u64 wp_first_claimed(__u64 before, __u64 first) {
  return before != WP_NEXT_UNKNOWN && before > first ? before : first;
}

/* After a claim that moved `next` from `before`: how many records nobody can bring any more. */
static inline __u64 wp_gap(__u64 before, __u64 first) { return first > before ? first - before : 0; }

#endif
