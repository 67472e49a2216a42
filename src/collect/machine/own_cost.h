// SPDX-License-Identifier: MIT
//
// What this process costs the machine.
#pragma once

#include <cstdint>

namespace waitprobe {

// As far as it can be read; else 0.
struct OwnCost {
  double cpu_seconds = 0;            // user and system, of all threads
  std::uint64_t resident_bytes = 0;  // without what BPF has in the kernel
  std::uint64_t bpf_bytes = 0;       // of the maps and programs that this process holds open
  std::uint64_t open_fds = 0;
  std::uint64_t most_fds = 0;  // that it may open
  std::uint64_t start_unix_ns = 0;
};

// Takes about a millisecond. Threads: any.
OwnCost own_cost();

}  // namespace waitprobe
