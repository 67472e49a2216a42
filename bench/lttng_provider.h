// SPDX-License-Identifier: MIT
//
// The events of lttng_guard.cpp, as lttng-ust wants them written. They carry as little as would do to add waits up by key: a
// number for the key and one for the wait; the time stands in the header of each event.
// clang-format off
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER waitprobe_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "bench/lttng_provider.h"

// Read several times, by design of lttng-ust.
#if !defined(WAITPROBE_BENCH_LTTNG_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define WAITPROBE_BENCH_LTTNG_PROVIDER_H

#include <cstdint>

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(
  waitprobe_bench, start,
  LTTNG_UST_TP_ARGS(std::uint32_t, key, std::uint64_t, wait_id),
  LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(std::uint32_t, key, key) lttng_ust_field_integer(std::uint64_t, wait_id, wait_id)))

LTTNG_UST_TRACEPOINT_EVENT(
  waitprobe_bench, stop,
  LTTNG_UST_TP_ARGS(std::uint32_t, key, std::uint64_t, wait_id),
  LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(std::uint32_t, key, key) lttng_ust_field_integer(std::uint64_t, wait_id, wait_id)))

#endif

#include <lttng/tracepoint-event.h>
