// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace waitprobe {

// Whether a key matches one of the patterns (as a shell's: * ? [...]), as a whole, and none of those that begin with "!", which
// exclude; where all patterns exclude, the other keys match; of a longer one what is kept of it, the
// first WP_KEY_MAX bytes. No byte is special in a key.
bool matches_any(const std::string& key, const std::vector<std::string>& patterns);

// Whether these patterns choose a key (-k, --not): without any, all keys are wanted.
bool is_wanted(const std::string& key, const std::vector<std::string>& patterns);

}  // namespace waitprobe
