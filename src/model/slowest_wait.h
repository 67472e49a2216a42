// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "src/model/snapshot.h"

namespace waitprobe {

// One wait of a series that stands for others of about its duration: none of them was slower in the time that was looked at.
struct SlowestWait {
  SeriesId series;
  std::uint64_t duration_ns = 0;
  std::uint64_t stop_unix_ns = 0;
  std::uint32_t tid = 0;  // of the thread that ended it; 0: not known
};

}  // namespace waitprobe
