// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace waitprobe::cli {

// The description of a common terminal, as TERMINFO may hold it, for machines that have none. Null: it is not one of them.
const char* terminal_description(std::string_view terminal);

}  // namespace waitprobe::cli
