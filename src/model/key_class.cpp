// SPDX-License-Identifier: MIT
#include "src/model/key_class.h"

#include <iterator>

#include "bpf/abi.h"
#include "src/model/key_patterns.h"

namespace waitprobe {
namespace {

constexpr const char* names[] = {"wait", "idle", "work"};

}  // namespace

KeyClass class_of_flags(std::uint32_t flags) {
  const std::uint32_t value = flags & WP_FLAGS_CLASS;
  if (value == WP_CLASS_IDLE) return KeyClass::idle;
  return value == WP_CLASS_WORK ? KeyClass::work : KeyClass::wait;
}

const char* name_of(KeyClass key_class) { return names[static_cast<std::size_t>(key_class)]; }

std::optional<KeyClass> class_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(names); i++) {
    if (name == names[i]) return static_cast<KeyClass>(i);
  }
  return std::nullopt;
}

KeyClass class_of(const std::string& key, KeyClass said, const ClassGlobs& globs) {
  if (matches_any(key, globs.idle)) return KeyClass::idle;
  return matches_any(key, globs.work) ? KeyClass::work : said;
}

}  // namespace waitprobe
