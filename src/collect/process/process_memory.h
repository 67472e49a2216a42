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

#include "bpf/tool_abi.h"

namespace waitprobe {

// An address space.
class Memory {
 public:
  virtual ~Memory() = default;

  // False unless all of it could be read; then `to` may hold anything.
  virtual bool read(std::uint64_t address, void* to, std::size_t bytes) const = 0;

  // Reads so many bytes at each of `cnt` addresses, which stand `stride` apart, one after the other into `to`. Returns how many
  // there were before one that could not be read.
  virtual std::size_t read_each(std::uint64_t address, std::size_t stride, std::size_t cnt, unsigned char* to,
                                std::size_t bytes) const;
};

// That of a process. Threads: one at a time.
class ProcessMemory : public Memory {
 public:
  explicit ProcessMemory(std::uint32_t pid) : pid_(pid), tid_(pid) {}

  bool read(std::uint64_t address, void* to, std::size_t bytes) const override;
  std::size_t read_each(std::uint64_t address, std::size_t stride, std::size_t cnt, unsigned char* to,
                        std::size_t bytes) const override;

 private:
  bool move_on() const;

  std::uint32_t pid_;
  mutable std::uint32_t tid_;  // the thread through which it is read
};

// The root at an address, or nothing when there is none or it is of another version.
std::optional<wp_root> read_root(const Memory& memory, std::uint64_t address);

// The arena of a root; nothing when it has none yet.
std::optional<wp_arena> read_arena(const Memory& memory, const wp_root& root);

struct CounterName {
  std::uint64_t next = 0;  // address of the next counter of its chain
  std::uint32_t id = 0;
  std::uint32_t key_len = 0;  // of the whole key
  std::uint32_t flags = 0;
  std::string key;  // any bytes, the first WP_KEY_MAX of them
};

// The counter at an address.
std::optional<CounterName> read_counter(const Memory& memory, std::uint64_t address);

// The keys of all counters, sorted; each cut at WP_KEY_MAX bytes. Nothing when the memory cannot be read.
std::optional<std::vector<std::string>> read_keys(const Memory& memory, const wp_root& root);

}  // namespace waitprobe
