// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/cli/parser.h"

namespace waitprobe::cli {

// All commands, a line each.
std::string overview();

// What the command line of a command may hold, as its own parser knows it. Nothing is run.
Description describe(const CommandRow& row);

}  // namespace waitprobe::cli
