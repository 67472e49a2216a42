// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ctime>

namespace waitprobe {

inline std::uint64_t clock_ns(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

// Nanoseconds of CLOCK_MONOTONIC.
inline std::uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

}  // namespace waitprobe
