/* SPDX-License-Identifier: MIT
 *
 * The fixed-width types and the size assertion that abi.h and bucket.h use, for C, C++ and BPF. */
#ifndef WAITPROBE_BPF_TYPES_H
#define WAITPROBE_BPF_TYPES_H

#include <linux/types.h>

#ifdef __cplusplus
#define WP_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type " has changed its size")
#else
#define WP_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has changed its size")
#endif

#endif
