// SPDX-License-Identifier: MIT
//
// Reads the library's root and counters from the memory of a process that may be writing, dying or lying meanwhile: every
// address and count that is read there is checked, and nothing it says makes the reader crash, hang or allocate without bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/abi.h"

namespace waitprobe {

class ProcessMemory {
 public:
  explicit ProcessMemory(std::uint32_t pid) : pid_(pid) {}

  // False, with errno, unless all of it could be read.
  bool read(std::uint64_t address, void* to, std::size_t bytes) const;

 private:
  std::uint32_t pid_;
};

// The root at an address, or nothing when there is none or it is of another version.
std::optional<wp_root> read_root(const ProcessMemory& memory, std::uint64_t address);

// The keys of all counters, sorted; each cut at WP_KEY_MAX bytes. Nothing when the memory cannot be read.
std::optional<std::vector<std::string>> read_keys(const ProcessMemory& memory, const wp_root& root);

}  // namespace waitprobe
