// SPDX-License-Identifier: MIT
//
// Counts the allocations of the process.
#pragma once

namespace test {

// How often this thread has allocated.
int allocations() noexcept;

// Calls a function at the allocations of this thread while it lives, but not at those of the function itself.
class OnAllocation {
 public:
  using Call = void (*)();
  explicit OnAllocation(Call call) noexcept;
  ~OnAllocation();
  OnAllocation(const OnAllocation&) = delete;
  OnAllocation& operator=(const OnAllocation&) = delete;
};

}  // namespace test
