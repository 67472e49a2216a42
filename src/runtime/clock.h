// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ctime>

namespace waitprobe::detail {

// Nanoseconds of CLOCK_MONOTONIC: the clock of std::chrono::steady_clock and of bpf_ktime_get_ns().
inline std::uint64_t monotonic_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace waitprobe::detail
