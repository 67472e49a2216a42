// SPDX-License-Identifier: MIT
//
// What takes "none was lost" away although nothing was: files that were attached to late, and processes of which nobody has
// read that their guards are armed.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

// "2 processes not verified, 1 attached late"; empty when everything is verified.
std::string unverified_text(const std::vector<AttachedLate>& late, const std::vector<Unverified>& unverified);

// From when on late files are counted, and why a process is not verified; processes that differ in their number alone stand
// together. Lines of `width` columns.
std::vector<std::string> unverified_lines(const std::vector<AttachedLate>& late, const std::vector<Unverified>& unverified,
                                          std::size_t width);

// Of a process that has mapped PyTorch, whatever else is known of it.
inline constexpr const char* pytorch_note = "PyTorch: waits without a wait counter (a bare dist.barrier()) cannot be seen";

void print_unverified(std::ostream& out, const std::vector<AttachedLate>& late, const std::vector<Unverified>& unverified,
                      std::size_t width);

}  // namespace waitprobe
