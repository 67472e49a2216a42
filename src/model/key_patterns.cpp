// SPDX-License-Identifier: MIT
#include "src/model/key_patterns.h"

#include <fnmatch.h>

#include <algorithm>

namespace waitprobe {
namespace {

// fnmatch ends at a zero byte. A pattern cannot hold one, so another byte that patterns do not name may stand for it.
std::string without_zeros(std::string key) {
  std::replace(key.begin(), key.end(), '\0', '\1');
  return key;
}

}  // namespace

bool matches_any(const std::string& key, const std::vector<std::string>& patterns) {
  const std::string text = without_zeros(key);
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return fnmatch(pattern.c_str(), text.c_str(), 0) == 0; });
}

}  // namespace waitprobe
