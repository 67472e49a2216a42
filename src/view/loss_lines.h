// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/model/losses.h"

namespace waitprobe {

// A line for each cause that there was.
void print_losses(std::ostream& out, const Losses& losses);

}  // namespace waitprobe
