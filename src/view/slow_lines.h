// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/model/slow_wait.h"
#include "src/view/emphasis.h"

namespace waitprobe {

struct SlowOptions {
  std::size_t width = 80;  // columns of the terminal
  Colours colours = Colours::no;
};

// The names of the columns.
void print_slow_header(std::ostream& out, const SlowOptions& options);

// A line for the wait, and one for each frame of its stack. Times are those of the tool's time zone.
void print_slow(std::ostream& out, const SlowWait& wait, const SlowOptions& options);

// How many there were, and what was lost.
void print_slow_summary(std::ostream& out, const SlowSummary& summary);

}  // namespace waitprobe
