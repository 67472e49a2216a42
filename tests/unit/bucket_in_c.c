/* SPDX-License-Identifier: MIT
 *
 * bpf/bucket.h as a C compiler sees it. */
#include "tests/unit/bucket_in_c.h"

#include "bpf/abi.h"

unsigned bucket_of_in_c(unsigned long long ns) { return wp_bucket_of(ns); }
unsigned long long bucket_lo_in_c(unsigned i) { return wp_bucket_lo(i); }
unsigned long long bucket_hi_in_c(unsigned i) { return wp_bucket_hi(i); }
