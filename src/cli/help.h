// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/cli/parser.h"

namespace waitprobe::cli {

// "waitprobe 1.2.3" as a line.
inline std::string version_text() { return "waitprobe " WAITPROBE_VERSION "\n"; }

// All commands, a line each.
std::string overview();

// What the command line of a command may hold, as its own parser knows it. Nothing is run.
Description describe(const CommandRow& row);

}  // namespace waitprobe::cli
