// SPDX-License-Identifier: MIT
//
// Manual pages, in the language of man(7), from the command table.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "src/cli/parser.h"

namespace waitprobe::cli {

// Text in which nothing is a request or an escape of roff.
std::string roff(std::string_view text);

// waitprobe(1).
void print_man_page(std::ostream& out);
// waitprobe-NAME(1).
void print_man_page(std::ostream& out, const CommandRow& row, const Description& description);

}  // namespace waitprobe::cli
