// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waitprobe {

// What the waits of a key are; in the order in which views show them.
enum class KeyClass {
  wait,  // something keeps a thread from its work
  idle,  // a thread has no work
  work,  // no wait: a measured piece of work
};

// Of the flags of struct wp_counter, which may be any.
KeyClass class_of_flags(std::uint32_t flags);

// Of a key that several parts of a program or several processes have: idle or work only if all of them say so.
inline KeyClass common_class(KeyClass a, KeyClass b) { return a == b ? a : KeyClass::wait; }

// "wait", "idle", "work"; and back.
const char* name_of(KeyClass key_class);
std::optional<KeyClass> class_named(std::string_view name);

// Patterns of keys (key_patterns.h) whose class the user knows better than the program.
struct ClassGlobs {
  std::vector<std::string> idle;
  std::vector<std::string> work;

  bool empty() const { return idle.empty() && work.empty(); }
};

// The class of a key that is `said` to be of one. What matches both kinds of patterns is idle.
KeyClass class_of(const std::string& key, KeyClass said, const ClassGlobs& globs);

}  // namespace waitprobe
