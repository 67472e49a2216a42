/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * The least that tracing needs, tried by the tool on itself: a probe with a semaphore, and its arguments. */
#include "kernel.h"

#include "tool_abi.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct wp_self_test self_test;

SEC("uprobe")
int on_self_test(struct pt_regs *ctx) {
  self_test.number = PT_REGS_PARM1(ctx);
  bpf_probe_read_user(&self_test.read, sizeof(self_test.read), (void *)PT_REGS_PARM2(ctx));
  self_test.hits++;
  return 0;
}
