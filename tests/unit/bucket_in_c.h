/* SPDX-License-Identifier: MIT */
#ifndef WAITPROBE_TESTS_BUCKET_IN_C_H
#define WAITPROBE_TESTS_BUCKET_IN_C_H

#ifdef __cplusplus
extern "C" {
#endif
unsigned bucket_of_in_c(unsigned long long ns);
unsigned long long bucket_lo_in_c(unsigned i);
unsigned long long bucket_hi_in_c(unsigned i);
#ifdef __cplusplus
}
#endif

#endif
