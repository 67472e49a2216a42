// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/model/stack.h"

namespace waitprobe {

// "f(int) (file.cpp:12)"; without a line "f(int) (libx.so)"; without a name "libx.so+0x1234"; of no module "0x7f0012345678".
// Files by the last part of their path. Bytes as they are.
std::string frame_text(const Frame& frame);

// Whether a frame only says how the standard library is made: inlined functions of it, which people do not want to read.
bool is_noise(const Frame& frame);

}  // namespace waitprobe
