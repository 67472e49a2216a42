// SPDX-License-Identifier: MIT
//
// A loop of PyTorch's own guards, built against PyTorch: torch_guard N. Prints the nanoseconds of CPU time of one.
#include <c10/util/WaitCounter.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

static double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

int main(int argc, char** argv) {
  const long n = argc > 1 ? std::atol(argv[1]) : 1'000'000;
  const double began = cpu_ns();
  for (long i = 0; i < n; i++) {
    STATIC_SCOPED_WAIT_COUNTER(bench.guard);
    asm volatile("" ::: "memory");
  }
  std::printf("%.3f\n", (cpu_ns() - began) / static_cast<double>(n));
  return 0;
}
