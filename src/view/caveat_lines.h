// SPDX-License-Identifier: MIT
//
// What takes "none was lost" away although no loss was counted, in words.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/caveats.h"

namespace waitprobe {

// "2 processes not verified, 1 attached late"; empty when everything is verified.
std::string caveat_text(const Caveats& caveats);

// From when on late files are counted, and why a process is not verified; processes that differ in their number alone stand
// together. Lines of `width` columns.
std::vector<std::string> caveat_lines(const Caveats& caveats, std::size_t width);

// Of a process that has mapped PyTorch, whatever else is known of it.
inline constexpr const char* pytorch_note = "PyTorch: waits without a wait counter (a bare dist.barrier()) cannot be seen";

void print_caveats(std::ostream& out, const Caveats& caveats, std::size_t width);

}  // namespace waitprobe
