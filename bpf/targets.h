/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Which processes are counted. A probe is attached once to a file, for all processes that map it; those that were not asked for
 * are passed over here. */
#ifndef WAITPROBE_BPF_TARGETS_H
#define WAITPROBE_BPF_TARGETS_H

#include "abi.h"
#include "kernel.h"

const volatile struct wp_config config;
__u64 unfollowed_cnt; /* children of targets for which there was no room */

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, WP_TARGETS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32); /* process id */
  __type(value, __u8);
} targets SEC(".maps");

static __always_inline int is_target(__u32 pid) { return !config.filter_targets || bpf_map_lookup_elem(&targets, &pid); }

/* A child of a target is one too, unless it only is a new thread. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child) {
  __u32 from = parent->tgid, to = child->tgid;
  __u8 yes = 1;
  if (from != to && bpf_map_lookup_elem(&targets, &from)) {
    if (bpf_map_update_elem(&targets, &to, &yes, BPF_ANY)) __sync_fetch_and_add(&unfollowed_cnt, 1);
  }
  return 0;
}

/* Programs that have just started, for the tool to look at. Where there is no room, the tool's next look at all processes finds
 * them. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 16);
} execs SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task) {
  if (!is_target(task->tgid)) return 0;
  struct wp_exec *exec = bpf_ringbuf_reserve(&execs, sizeof(*exec), 0);
  if (!exec) return 0;
  exec->pid = task->tgid;
  exec->pad = 0;
  bpf_ringbuf_submit(exec, 0);
  return 0;
}

/* The pid of a process that has ended may be given to another. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task) {
  __u32 pid = task->tgid;
  if (task->signal->live.counter == 0) bpf_map_delete_elem(&targets, &pid);
  return 0;
}

#endif
