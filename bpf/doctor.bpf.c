/* SPDX-License-Identifier: (MIT OR GPL-2.0)
 *
 * The least that tracing needs, tried by the tool on itself: a probe with a semaphore, and its arguments. */
#include "kernel.h"
/* kernel.h first: usdt.bpf.h wants its types. This header and the libbpf that loads the object must be of one version. */
#include <stdbool.h>
#define BPF_USDT_MAX_SPEC_CNT 16
#define BPF_USDT_MAX_IP_CNT 1 /* not used on kernels with BPF cookies, and those are all that are supported */
#include <bpf/usdt.bpf.h>

#include "abi.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct wp_self_test self_test;

SEC("usdt")
int on_self_test(struct pt_regs *ctx) {
  long number = 0, address = 0;
  bpf_usdt_arg(ctx, 0, &number);
  bpf_usdt_arg(ctx, 1, &address);
  self_test.number = number;
  bpf_probe_read_user(&self_test.read, sizeof(self_test.read), (void *)address);
  self_test.hits++;
  return 0;
}
