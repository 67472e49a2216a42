// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "src/collect/process/process_memory.h"

namespace test {

// An address space of a few objects that the test owns, and may change between two reads.
class FakeMemory : public waitprobe::Memory {
 public:
  void map(std::uint64_t address, const void* object, std::size_t bytes) { objects_[address] = {object, bytes}; }

  // Called before each read, with its address.
  std::function<void(std::uint64_t)> before_read = [](std::uint64_t) {};

  bool read(std::uint64_t address, void* to, std::size_t bytes) const override {
    reads++;
    before_read(address);
    auto object = objects_.upper_bound(address);
    if (object == objects_.begin()) return false;
    --object;
    const std::uint64_t offset = address - object->first;
    if (offset > object->second.bytes || bytes > object->second.bytes - offset) return false;
    std::memcpy(to, static_cast<const char*>(object->second.data) + offset, bytes);
    return true;
  }

  mutable int reads = 0;

 private:
  struct Object {
    const void* data = nullptr;
    std::size_t bytes = 0;
  };
  std::map<std::uint64_t, Object> objects_;
};

}  // namespace test
