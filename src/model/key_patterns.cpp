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

bool excludes(const std::string& pattern) { return pattern.starts_with('!'); }

}  // namespace

bool matches_any(const std::string& key, const std::vector<std::string>& patterns) {
  const std::string text = without_zeros(key);
  bool is_included = std::all_of(patterns.begin(), patterns.end(), excludes) && !patterns.empty();
  for (const std::string& pattern : patterns) {
    const bool is_exclusion = excludes(pattern);
    if (fnmatch(pattern.c_str() + (is_exclusion ? 1 : 0), text.c_str(), 0) != 0) continue;
    if (is_exclusion) return false;
    is_included = true;
  }
  return is_included;
}

bool is_wanted(const std::string& key, const std::vector<std::string>& patterns) {
  return patterns.empty() || matches_any(key, patterns);
}

}  // namespace waitprobe
