// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace waitprobe {

// One function on a thread's stack. What is not known is empty or 0.
struct Frame {
  std::string function;      // demangled; any bytes
  std::string source_file;   // any bytes
  std::uint32_t line = 0;    // of the call, or of the instruction in the innermost frame
  bool is_inlined = false;   // into the frame that follows
  std::string module;        // path of the executable or library; any bytes
  std::uint64_t offset = 0;  // of the instruction, as addr2line takes it; as an address in memory where there is no module
};

// Innermost first.
using Stack = std::vector<Frame>;

}  // namespace waitprobe
