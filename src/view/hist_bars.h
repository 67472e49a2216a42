// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/model/histogram.h"

namespace waitprobe {

// A histogram as rows of bars, one for each power of two of nanoseconds from the first that holds a wait to the last.
void print_bars(std::ostream& out, const Histogram& histogram, std::size_t width);

}  // namespace waitprobe
