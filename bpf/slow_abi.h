/* SPDX-License-Identifier: MIT
 *
 * What slow.bpf.c and the tool exchange, as bpf/abi.h says. */
#ifndef WAITPROBE_BPF_SLOW_ABI_H
#define WAITPROBE_BPF_SLOW_ABI_H

#include "tool_abi.h"

/* The registers of a user thread, in the order of the kernel's struct pt_regs (x86-64) or struct user_pt_regs (arm64), with
 * which ptrace's and a core dump's begin as well. */
#if defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define WP_REGS 34 /* x0..x30, sp, pc, pstate */
#else
#define WP_REGS 21 /* r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss */
#endif
struct wp_regs {
  __u64 reg[WP_REGS];
};

/* A wait that took long, as slow.bpf.c tells of it; followed by a copy of the stack if that is wanted. */
#define WP_STACK_MAX 32768 /* bytes */
struct wp_slow_wait {
  __u64 stop_ns; /* of the machine's clock */
  __u64 duration_ns;
  __u64 wait_id;
  __u32 pid; /* as the first pid namespace counts */
  __u32 tid;
  char comm[WP_COMM_LEN]; /* of the process */
  char thread[WP_COMM_LEN];
  char key[WP_KEY_MAX]; /* the first bytes of it */
  __u32 key_len;        /* of the whole key */
  __u32 stack_bytes;    /* of the copy, from the stack pointer up; 0: none */
  __u32 flags;          /* of the counter */
  __u32 pad;
  struct wp_trace_id trace;
  struct wp_regs regs; /* all zero without a copy */
};
WP_ASSERT_SIZE(struct wp_slow_wait, 352 + 8 * WP_REGS);

struct wp_slow_stack {
  struct wp_slow_wait wait;
  __u8 stack[WP_STACK_MAX];
};

/* Every way to lose a slow wait. */
struct wp_slow_losses {
  __u64 ring_full;  /* the tool did not read as fast as waits came */
  __u64 unreadable; /* the key could not be read from the process's memory */
};
WP_ASSERT_SIZE(struct wp_slow_losses, 16);

/* Set by the tool before it loads slow.bpf.c. */
struct wp_slow_config {
  __u64 min_ns;
  __u8 stacks;
  __u8 pad[7];
};
WP_ASSERT_SIZE(struct wp_slow_config, 16);

#endif
