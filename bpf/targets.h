/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Which processes are counted, and what is read of them. A probe is attached once to a file, for all processes that map it;
 * those that were not asked for are passed over here. */
#ifndef WAITPROBE_BPF_TARGETS_H
#define WAITPROBE_BPF_TARGETS_H

#include "abi.h"
#include "kernel.h"

const volatile struct wp_config config;
__u64 unfollowed_cnt; /* children of targets for which there was no room */
__u64 untold_cnt;     /* processes that came or went, of which the tool was not told for want of room */

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_TARGETS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32); /* process id */
  __type(value, __u8);
} targets SEC(".maps");

#define WP_SIGHTINGS_BYTES (1 << 18)
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, WP_SIGHTINGS_BYTES);
} sightings SEC(".maps");

/* Null: there is no room. */
static __always_inline struct wp_sighting *sighting_of(__u32 pid, enum wp_saw what) {
  struct wp_sighting *sighting = bpf_ringbuf_reserve(&sightings, sizeof(*sighting), 0);
  if (!sighting) return NULL;
  __builtin_memset(sighting, 0, sizeof(*sighting));
  sighting->time_ns = bpf_ktime_get_ns();
  sighting->pid = pid;
  sighting->what = what;
  return sighting;
}

/* The tool reads what need not be known at once along with the rest, or when the ring is half full. By force, since the kernel
 * wakes nobody for what comes behind something that nobody was woken for. */
static __always_inline void hand_sighting(struct wp_sighting *sighting, int is_urgent) {
  const int wakes = is_urgent || bpf_ringbuf_query(&sightings, BPF_RB_AVAIL_DATA) > WP_SIGHTINGS_BYTES / 2;
  bpf_ringbuf_submit(sighting, wakes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Which files a process maps is told by perf; whose they are, from here. */
static __noinline int tell_of_process(struct task_struct *task, enum wp_saw what) {
  if (!task) return 0; /* for the verifier */
  struct wp_sighting *sighting = sighting_of(BPF_CORE_READ(task, tgid), what);
  if (!sighting) {
    __sync_fetch_and_add(&untold_cnt, 1);
    return 0;
  }
  sighting->parent_pid = BPF_CORE_READ(task, real_parent, tgid);
  struct task_struct *leader = BPF_CORE_READ(task, group_leader);
  bpf_probe_read_kernel(sighting->comm, sizeof(sighting->comm), &leader->comm);
  hand_sighting(sighting, what == WP_SAW_EXEC);
  return 0;
}

/* The leader of the process whose memory the current thread runs on: its own, or, for a child of vfork, its parent's. */
static __always_inline struct task_struct *owner_of_memory(void) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  struct task_struct *leader = BPF_CORE_READ(task, group_leader), *parent = BPF_CORE_READ(task, real_parent);
  if (BPF_CORE_READ(parent, mm) != BPF_CORE_READ(task, mm)) return leader;
  return BPF_CORE_READ(parent, group_leader);
}

static __always_inline int is_target(void) {
  if (!config.filter_targets) return 1;
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  if (bpf_map_lookup_elem(&targets, &pid)) return 1;
  struct task_struct *owner = owner_of_memory();
  pid = BPF_CORE_READ(owner, tgid);
  return bpf_map_lookup_elem(&targets, &pid) != NULL;
}

/* A child of a target is one too. REQUIRES: it is not only a new thread. */
static __always_inline void follow_child(struct task_struct *parent, struct task_struct *child) {
  __u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);
  __u8 yes = 1;
  if (config.filter_targets) {
    if (!config.follow_forks || !bpf_map_lookup_elem(&targets, &from)) return;
    if (bpf_map_update_elem(&targets, &to, &yes, BPF_ANY)) __sync_fetch_and_add(&unfollowed_cnt, 1);
  }
  tell_of_process(child, WP_SAW_FORK);
}

/* Whether the process of the current thread, which dies, ends with it. */
static __always_inline int is_last_thread(void) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  return BPF_CORE_READ(task, signal, live.counter) == 0;
}

/* The pid of a process that has ended may be given to another. */
static __always_inline void forget_ended(void) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  if (!is_last_thread() || (config.filter_targets && bpf_map_delete_elem(&targets, &pid))) return;
  tell_of_process((struct task_struct *)bpf_get_current_task(), WP_SAW_END);
}

/* The current process has started another program. */
static __always_inline void tell_of_exec(struct task_struct *task) {
  if (is_target()) tell_of_process(task, WP_SAW_EXEC);
}

/* A counter of the current process, and the first WP_KEY_MAX bytes of the key that stands behind it. */
static __always_inline int read_counter(__u64 address, struct wp_counter *counter, char *key) {
  if (bpf_probe_read_user(counter, sizeof(*counter), (void *)address)) return -1;
  __u32 len = counter->key_len;
  if (len > WP_KEY_MAX) len = WP_KEY_MAX;
  return bpf_probe_read_user(key, len, (void *)(address + sizeof(*counter))) ? -1 : 0;
}

#endif
