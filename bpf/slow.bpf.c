/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * Tells of each wait that took long, with a copy of its thread's registers and stack if that is wanted: enough to unwind it
 * later, without frame pointers. */
#include "kernel.h"

#include "slow_abi.h"
#include "targets.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile struct wp_slow_config slow_config;
struct wp_slow_losses losses;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20); /* the tool chooses */
} waits SEC(".maps");

static __always_inline int describe(struct pt_regs *ctx, struct wp_slow_wait *wait, __u64 duration_ns) {
  __u64 key = PT_REGS_PARM1(ctx);
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  __u64 pid_tgid = bpf_get_current_pid_tgid();
  wait->stop_ns = PT_REGS_PARM2(ctx) - monotonic_offset_ns();
  wait->duration_ns = duration_ns;
  wait->wait_id = PT_REGS_PARM4(ctx);
  wait->pid = pid_tgid >> 32;
  wait->tid = pid_tgid;
  wait->stack_bytes = 0;
  __builtin_memset(&wait->regs, 0, sizeof(wait->regs));
  bpf_get_current_comm(wait->thread, sizeof(wait->thread));
  struct task_struct *leader = BPF_CORE_READ(task, group_leader);
  bpf_probe_read_kernel(wait->comm, sizeof(wait->comm), &leader->comm);
  struct counter_words counter;
  if (read_counter(key - sizeof(struct wp_counter), &counter, wait->key)) return -1;
  wait->key_len = counter.key_len;
  wait->flags = counter.flags;
  __u64 trace = PT_REGS_PARM5(ctx);
  if (!trace || bpf_probe_read_user(&wait->trace, sizeof(wait->trace), (void *)trace))
    __builtin_memset(&wait->trace, 0, sizeof(wait->trace));
  return 0;
}

/* What there is of the stack above the stack pointer: in pieces, because a read that goes beyond its end gets nothing. */
#define WP_STACK_PIECE 256
static __always_inline void copy_stack(struct pt_regs *ctx, struct wp_slow_stack *to) {
  bpf_probe_read_kernel(&to->wait.regs, sizeof(to->wait.regs), ctx);
  __u64 from = PT_REGS_SP(ctx);
  __u32 bytes = 0;
  for (int i = 0; i < WP_STACK_MAX / WP_STACK_PIECE; i++) {
    if (bpf_probe_read_user(to->stack + i * WP_STACK_PIECE, WP_STACK_PIECE, (void *)(from + i * WP_STACK_PIECE))) break;
    bytes += WP_STACK_PIECE;
  }
  to->wait.stack_bytes = bytes;
}

static __always_inline void submit(struct wp_slow_wait *wait, int described) {
  if (described == 0) {
    bpf_ringbuf_submit(wait, 0);
    return;
  }
  bpf_ringbuf_discard(wait, 0);
  __sync_fetch_and_add(&losses.unreadable, 1);
}

static __noinline int tell_of_wait(struct pt_regs *ctx) {
  __u64 duration_ns = PT_REGS_PARM3(ctx);
  if (!is_target() || duration_ns < slow_config.min_ns) return 0;
  if (slow_config.stacks) {
    struct wp_slow_stack *with_stack = bpf_ringbuf_reserve(&waits, sizeof(*with_stack), 0);
    if (!with_stack) goto full;
    int described = describe(ctx, &with_stack->wait, duration_ns);
    copy_stack(ctx, with_stack);
    submit(&with_stack->wait, described);
  } else {
    struct wp_slow_wait *wait = bpf_ringbuf_reserve(&waits, sizeof(*wait), 0);
    if (!wait) goto full;
    submit(wait, describe(ctx, wait, duration_ns));
  }
  return 0;
full:
  __sync_fetch_and_add(&losses.ring_full, 1);
  return 0;
}

WP_PROBE(on_slow_wait, tell_of_wait)

/* ---- processes that come and go ---------------------------------------------------------------------------------- */

SEC("tracepoint") /* sched_process_exit */
int on_thread_exit(void *ctx) {
  forget_ended();
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child) {
  if (parent->tgid != child->tgid) WP_UNDISTURBED(follow_child(parent->tgid, child->tgid));
  return 0;
}
