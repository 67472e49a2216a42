// SPDX-License-Identifier: MIT
//
// The library's roots in an ELF file, found by what they begin with: for files whose notes were taken away or say too much.
#pragma once

#include <cstdint>
#include <vector>

namespace waitprobe {

// Where in the file they are, in order, the first 16 of them. Looks at what a process may write of the file, 64 MiB at most.
// None when it is no ELF file of 64 bits.
std::vector<std::uint64_t> find_roots_in_file(int fd);

}  // namespace waitprobe
