// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <string>

#include "src/model/stack.h"
#include "src/view/emphasis.h"

namespace waitprobe {

// "f(int) (file.cpp:12)"; without a line "f(int) (libx.so)"; without a name "libx.so+0x1234"; of no module "0x7f0012345678".
// Files by the last part of their path. Bytes as they are.
std::string frame_text(const Frame& frame);

// A line for each frame, but for inlined functions of the standard library, which only say how that is made.
void print_frames(std::ostream& out, const Stack& stack, std::size_t indent, std::size_t width, Colours colours);

}  // namespace waitprobe
