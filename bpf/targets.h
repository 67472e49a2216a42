/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Which processes are counted, and what is read of them. A probe is attached once to a file, for all processes that map it;
 * those that were not asked for are passed over here. */
#ifndef WAITPROBE_BPF_TARGETS_H
#define WAITPROBE_BPF_TARGETS_H

#include "tool_abi.h"
#include "kernel.h"

const volatile struct wp_config config;
__u64 unfollowed_cnt; /* children of targets for which there was no room */
__u64 run_time_ns;    /* that the programs have taken of other people's time, where the tool wants to know */

/* Around one statement whose time is to be known. */
#define WP_MEASURED(statement)                                                                       \
  do {                                                                                               \
    __u64 began_ns = config.measures_run_time ? bpf_ktime_get_ns() : 0;                              \
    statement;                                                                                       \
    if (config.measures_run_time) __sync_fetch_and_add(&run_time_ns, bpf_ktime_get_ns() - began_ns); \
  } while (0)

/* An entry of a few instructions around one body. The arguments of a probe are the parameters of the function that it stands in:
 * PT_REGS_PARM1(ctx) and so on. */
#define WP_PROBE(name, body)                    \
  SEC("uprobe") int name(struct pt_regs *ctx) { \
    WP_UNDISTURBED(WP_MEASURED(body(ctx)));     \
    return 0;                                   \
  }

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_TARGETS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32); /* process id */
  __type(value, __u8);
} targets SEC(".maps");

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
static __always_inline void follow_child(__u32 from, __u32 to) {
  __u8 yes = 1;
  if (!config.follow_forks || !bpf_map_lookup_elem(&targets, &from)) return;
  if (bpf_map_update_elem(&targets, &to, &yes, BPF_ANY)) __sync_fetch_and_add(&unfollowed_cnt, 1);
}

/* Whether the process of the current thread, which dies, ends with it. */
static __always_inline int is_last_thread(void) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  return BPF_CORE_READ(task, signal, live.counter) == 0;
}

/* The pid of a process that has ended may be given to another. */
static __always_inline void forget_ended(void) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  if (is_last_thread()) bpf_map_delete_elem(&targets, &pid);
}

/* The second half of struct wp_counter, without the addresses: the stack of our programs is nearly full. */
struct counter_words {
  __u32 id;
  __u32 key_len;
  __u32 flags;
  __u32 pad;
};
_Static_assert(__builtin_offsetof(struct wp_counter, id) + sizeof(struct counter_words) == sizeof(struct wp_counter),
               "its end");

/* A counter of the current process, and the first WP_KEY_MAX bytes of the key that stands behind it. */
static __always_inline int read_counter(__u64 address, struct counter_words *counter, char *key) {
  __u64 key_address = address + sizeof(struct wp_counter);
  if (bpf_probe_read_user(counter, sizeof(*counter), (void *)(key_address - sizeof(*counter)))) return -1;
  __u32 len = counter->key_len;
  if (len > WP_KEY_MAX) len = WP_KEY_MAX;
  return bpf_probe_read_user(key, len, (void *)key_address) ? -1 : 0;
}

#endif
