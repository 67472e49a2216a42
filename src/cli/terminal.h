// SPDX-License-Identifier: MIT
//
// What a terminal is given that a file or a pipe is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/view/emphasis.h"

namespace waitprobe::cli {

// `when`: "always", "never", or "auto": whether stdout is a terminal that shows colours, and nobody has set NO_COLOR.
Colours wanted_colours(const std::string& when);

bool is_on_terminal();

// Columns of the terminal that stdout is, but at least 80; unlimited_width if it is none.
std::size_t output_width();

// A line on stderr about work that takes longer than two seconds. Only on a terminal, and gone before anything else is printed.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // When show() would have something to do next, in nanoseconds of CLOCK_MONOTONIC; UINT64_MAX: never.
  std::uint64_t due_ns() const { return due_ns_; }

  // Shows a line, once a second at the most.
  void show(const std::string& text);
  void clear();

 private:
  std::uint64_t due_ns_;
  bool shown_ = false;
};

}  // namespace waitprobe::cli
