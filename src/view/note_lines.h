// SPDX-License-Identifier: MIT
//
// What is to be known of waits although nothing was lost.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/snapshot.h"
#include "src/model/unseen.h"

namespace waitprobe {

// "1 wait", "2 waits".
std::string waits(std::uint64_t count);

// "12 waits abandoned: ...".
std::string abandoned_text(std::uint64_t count);

// Lines of processes that could not be read, where there are any.
void print_unseen(std::ostream& out, const Unseen& unseen);

// Of clocks that went backwards, and of waits that never ended. Lines of 80 columns at the most.
// What identifies the process of a series beside its name: its number, or "12 ended" where ended ones are added up.
std::string pid_text(const Series& series);

std::vector<std::string> note_lines(const Snapshot& snapshot);

}  // namespace waitprobe
