// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace waitprobe::cli {

// How many insertions, deletions, replacements, and swaps of neighbours turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// "; did you mean 'hist'?" for the candidate that is nearest to the word, or that alone begins with it. Empty: none is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace waitprobe::cli
