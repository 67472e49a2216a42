// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/cli/parser.h"

namespace waitprobe::cli {

// The version, and what it was made with, a line each.
std::string version_text();

// All commands, a line each.
std::string overview();

// What --help of the command prints.
std::string help_of(const CommandRow& row);

// What its command line may hold. Nothing is run.
Description describe(const CommandRow& row);

// A positional that names a command, or none.
void add_command_name(Parser& parser, std::string& name);

}  // namespace waitprobe::cli
