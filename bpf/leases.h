/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Pools of numbered places in the kernel. A program takes a place, and the tool gives it back at any time, whoever uses it:
 * nothing is lost, and what it was used for gets another place when it needs one.
 *
 * When nobody can still use a place: the tool
 *   1. deletes the entry that leads to it (in `series` or `blocks`), so that no program that begins from now on finds it there;
 *   2. waits until all programs that were running have ended, so that nobody will put it into the cache of a block any more;
 *   3. for series: raises `slot_epoch`, so that each program that begins from now on empties the cache of its block first, and
 *      waits once more, for those that began before and have the place from a cache;
 *   4. reads what is there, which is final, and gives the place back.
 * A program holds a place for one run, no longer, and runs within rcu_read_lock(); the tool waits by an operation for which the
 * kernel calls synchronize_rcu(). tests/unit/leases_test.cpp explores every interleaving.
 *
 * An entry that is deleted from a hash table can be used again at once, for another key, while a program reads it. So what it
 * leads to is believed only if the place itself names the same key. */
#ifndef WAITPROBE_BPF_LEASES_H
#define WAITPROBE_BPF_LEASES_H

#include "abi.h"
#include "kernel.h"

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 18);
} discoveries SEC(".maps");

static __always_inline int tell(__u64 incarnation, __u32 pid) {
  struct wp_discovery *discovery = bpf_ringbuf_reserve(&discoveries, sizeof(*discovery), 0);
  if (!discovery) return -1;
  discovery->incarnation = incarnation;
  discovery->pid = pid;
  discovery->unused = 0;
  bpf_ringbuf_submit(discovery, 0);
  return 0;
}

/* Takes a place, but leaves `reserve` of them to others. `ring` has the numbers of free places, of which the tool adds one
 * before it raises `free`. At WP_NO_PLACE there is none. */
static __always_inline __u32 take_place(void *ring, struct wp_leases *leases, __u32 size, __u32 reserve) {
  if (leases->free <= (__s64)reserve) return WP_NO_PLACE;
  __s64 before = __sync_fetch_and_add(&leases->free, -1);
  if (before <= 0) {
    __sync_fetch_and_add(&leases->free, 1);
    return WP_NO_PLACE;
  }
  if (before - 1 == leases->wake_at) tell(0, 0); /* where there is no room, it has been told enough */
  __u32 at = __sync_fetch_and_add(&leases->taken, 1) % size;
  __u32 *place = bpf_map_lookup_elem(ring, &at);
  return place ? *place : WP_NO_PLACE;
}

#endif
