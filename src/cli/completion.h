// SPDX-License-Identifier: MIT
//
// What shells complete, from the command table.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace waitprobe::cli {

std::vector<std::string> shells();

// REQUIRES: `shell` is one of shells().
void print_completion(std::ostream& out, const std::string& shell);

}  // namespace waitprobe::cli
