// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ostream>

#include "src/model/slow_wait.h"
#include "src/view/emphasis.h"

namespace waitprobe {

struct SlowOptions {
  std::size_t width = 80;  // columns of the terminal
  Colours colours = Colours::no;
};

// The date and the time zone, and the names of the columns. `time_unix_ns` is that of the first wait.
void print_slow_header(std::ostream& out, std::uint64_t time_unix_ns, const SlowOptions& options);

// A line for the wait, and one for each frame of its stack. Times are those of the tool's time zone.
void print_slow(std::ostream& out, const SlowWait& wait, const SlowOptions& options);

// How many there were, and what was lost.
void print_slow_summary(std::ostream& out, const SlowSummary& summary);

}  // namespace waitprobe
