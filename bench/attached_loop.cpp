// SPDX-License-Identifier: MIT
//
// What a wait costs while a tracer looks on, or nobody does: bench/attached_table.py attaches the tracer when this says that it
// is ready, and then sends a line. It stays until stdin is closed, for `waitprobe list` to look at.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <waitprobe/wait_counter.h>

#include "bench/slices.h"

namespace {

__attribute__((noinline)) void guarded_loop(long rounds) {
  for (long i = 0; i < rounds; i++) {
    {
      STATIC_SCOPED_WAIT_COUNTER(bench.a);
      slices::nothing();
    }
    {
      STATIC_SCOPED_WAIT_COUNTER(bench.b);
      slices::nothing();
    }
    {
      STATIC_SCOPED_WAIT_COUNTER(bench.c);
      slices::nothing();
    }
    {
      STATIC_SCOPED_WAIT_COUNTER(bench.d);
      slices::nothing();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 4 ? argv[1] : "";
  const int threads = argc == 4 ? std::atoi(argv[2]) : 0, pairs = argc == 4 ? std::atoi(argv[3]) : 0;
  if ((what != "idle" && what != "armed") || threads < 1 || threads > 2 || pairs < 1) {
    std::fprintf(stderr, "usage: waitprobe-attached-loop idle|armed THREADS PAIRS\n");
    return 2;
  }
  slices::say_ready();
  const std::uint64_t word = __atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED);
  const bool armed = word != 0;
  if (armed != (what == "armed")) {
    std::fprintf(stderr, "waitprobe-attached-loop: cannot measure: the guard is %sarmed\n", armed ? "" : "not ");
    return 1;
  }
  if (threads == 1) {
    slices::print_one_thread(guarded_loop, pairs);
  } else if (!slices::TwoThreads(guarded_loop, pairs).print()) {
    std::fprintf(stderr, "waitprobe-attached-loop: cannot measure two threads: CPUs 0 and 1 are not both to be had\n");
    return 1;
  }
  if (__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) != word) {
    std::fprintf(stderr, "waitprobe-attached-loop: this was no measurement: a tracer came or went\n");
    return 1;
  }
  std::fflush(stdout);
  slices::wait_for_line();
}
