// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <vector>

#include "src/model/recording.h"

namespace waitprobe {

// A line for each recording: which machine, whom, from when to when.
void print_recordings(std::ostream& out, const std::vector<Recording>& recordings);

}  // namespace waitprobe
