// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/model/open_wait.h"
#include "src/view/emphasis.h"

namespace waitprobe {

struct StuckTableOptions {
  std::size_t width = 80;  // columns of the terminal
  Colours colours = Colours::no;
};

// Open waits, those that are probably idle apart; what could not be known; and what was done to find out.
void print_stuck(std::ostream& out, const OpenWaits& found, const StuckTableOptions& options);

}  // namespace waitprobe
