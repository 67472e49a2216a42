// SPDX-License-Identifier: MIT
//
// The waits of attached_loop.cpp, with one LTTng-UST event at the start and one at the stop instead of the guard. The session
// is bench/attached_table.py's.
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "bench/lttng_provider.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "bench/slices.h"

namespace {

std::uint64_t last_wait_id = 0;  // of the one thread there is

inline void wait_on(std::uint32_t key) {
  const std::uint64_t wait_id = ++last_wait_id;
  lttng_ust_tracepoint(waitprobe_bench, start, key, wait_id);
  slices::nothing();
  lttng_ust_tracepoint(waitprobe_bench, stop, key, wait_id);
}

__attribute__((noinline)) void traced_loop(long rounds) {
  for (long i = 0; i < rounds; i++) {
    wait_on(0);
    wait_on(1);
    wait_on(2);
    wait_on(3);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc == 2 ? std::atoi(argv[1]) : 0;
  if (pairs < 1) {
    std::fprintf(stderr, "usage: waitprobe-lttng-guard PAIRS\n");
    return 2;
  }
  slices::say_ready();
  if (!lttng_ust_tracepoint_enabled(waitprobe_bench, start) || !lttng_ust_tracepoint_enabled(waitprobe_bench, stop)) {
    std::fprintf(stderr, "waitprobe-lttng-guard: cannot measure: no session has enabled the events\n");
    return 1;
  }
  slices::print_one_thread(traced_loop, pairs);
  std::fflush(stdout);
  slices::wait_for_line();
}
