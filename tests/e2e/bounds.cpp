// SPDX-License-Identifier: MIT
//
// For bpftrace_test.py: fires wait_stop with durations at, just below and just above the thresholds of the slow probes, when
// its standard input says so, and ends with it.
#include <unistd.h>

#include <cstdint>
#include <initializer_list>

#include "src/runtime/probes.h"

int main() {
  char go;
  if (read(STDIN_FILENO, &go, 1) != 1) return 1;
  std::uint64_t wait_id = 1;
  waitprobe_fire_stop("bounds", 0, 0, wait_id++, 0);
  for (std::uint64_t threshold_ns = 1000; threshold_ns <= 1'000'000'000; threshold_ns *= 10) {
    for (const std::uint64_t duration_ns : {threshold_ns - 1, threshold_ns, threshold_ns + 1}) {
      waitprobe_fire_stop("bounds", 0, duration_ns, wait_id++, 0);
    }
  }
  waitprobe_fire_stop("bounds", 0, UINT64_MAX, wait_id, 0);
  (void)!read(STDIN_FILENO, &go, 1);
}
