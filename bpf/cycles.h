/* SPDX-License-Identifier: MIT
 *
 * The cycle counter that records may be timed by: one code for the library, which reads it, and the tool, which measures its
 * rate. */
#ifndef WAITPROBE_BPF_CYCLES_H
#define WAITPROBE_BPF_CYCLES_H

#include "types.h"

#if defined(__x86_64__)
#define WP_CYCLES_SOURCE "tsc" /* the name of the kernel's clock source when it trusts the counter */
#elif defined(__aarch64__)
#define WP_CYCLES_SOURCE "arch_sys_counter"
#else
#define WP_CYCLES_SOURCE "" /* there is no counter that we know of */
#endif

/* Ticks. REQUIRES: the counter may be read (on x86-64, PR_GET_TSC says so). */
static inline __u64 wp_read_cycles(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  __u64 ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return 0;
#endif
}

#endif
