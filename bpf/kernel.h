/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * The few kernel fields that our programs read, found at load time by their names (CO-RE). No vmlinux.h: what is read can be
 * seen here, and the build does not depend on the kernel it runs on. */
#ifndef WAITPROBE_BPF_KERNEL_H
#define WAITPROBE_BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
/* ^ struct pt_regs comes from asm/ptrace.h by way of linux/ptrace.h */

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define WP_PRESERVE __attribute__((preserve_access_index))

typedef struct {
  int counter;
} WP_PRESERVE atomic_t;

struct mm_struct;
struct linux_binprm;

struct timespec64 {
  __s64 tv_sec;
  long tv_nsec;
} WP_PRESERVE;

struct timens_offsets {
  struct timespec64 monotonic;
} WP_PRESERVE;

/* On a kernel without CONFIG_TIME_NS it has no members. */
struct time_namespace {
  struct timens_offsets offsets;
} WP_PRESERVE;

struct nsproxy {
  struct time_namespace *time_ns;
} WP_PRESERVE;

struct signal_struct {
  atomic_t live; /* threads of the process that have not exited */
} WP_PRESERVE;

struct task_struct {
  unsigned int flags;
  int pid;  /* of the thread */
  int tgid; /* of the process */
  struct task_struct *group_leader;
  struct task_struct *real_parent;
  struct mm_struct *mm;
  __u64 start_boottime;
  char comm[16];
  struct nsproxy *nsproxy;
  struct signal_struct *signal;
} WP_PRESERVE;

#define PF_FORKNOEXEC 0x00000040 /* of task_struct.flags: forked, and no exec since */

struct trace_event_raw_signal_deliver {
  unsigned long sa_handler;
} WP_PRESERVE;

/* How far the current process's CLOCK_MONOTONIC is ahead of the machine's, which is that of bpf_ktime_get_ns(): of its own time
 * namespace, which is not that of its children to come. */
static __always_inline __u64 monotonic_offset_ns(void) {
  if (!bpf_core_field_exists(struct time_namespace, offsets)) return 0;
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  struct time_namespace *time_ns = BPF_CORE_READ(task, nsproxy, time_ns);
  return (__u64)BPF_CORE_READ(time_ns, offsets.monotonic.tv_sec) * 1000000000ULL +
         BPF_CORE_READ(time_ns, offsets.monotonic.tv_nsec);
}

/* A uprobe program can be preempted, and another thread may enter it on the same CPU before it ends; on newer kernels even its
 * stack is per CPU. So each entry wraps its body with these, where the kernel has them (from about 6.10 on). */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* Around one statement that must not be preempted. */
#define WP_UNDISTURBED(statement)                   \
  do {                                              \
    if (bpf_preempt_disable) bpf_preempt_disable(); \
    statement;                                      \
    if (bpf_preempt_enable) bpf_preempt_enable();   \
  } while (0)

/* The same value, which the verifier does not know. Before 6.7 or so, it goes through the callback of bpf_loop() once, with what is
 * there before the first round: what a round changes has to be unknown then, else it takes branches of later rounds for dead code,
 * and removes them. And all verifiers go through what follows once for each value that they know: what is unknown is verified once,
 * which made three times fewer instructions of on_wait_batch. */
volatile __u64 nought;
static __always_inline __u64 unknown(__u64 value) { return value + nought; }

#endif
