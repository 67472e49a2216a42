// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>

#include <waitprobe/wait_counter.h>

namespace demo {

// How many bytes of files may be in memory at once.
//
// Threads: any.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : total_(bytes), free_(bytes) {}

  // Waits until there is room. A file larger than the whole budget takes all of it.
  std::size_t acquire(std::size_t bytes) {
    bytes = std::min(bytes, total_);
    std::unique_lock lock(mutex_);
    if (free_ < bytes) {
      STATIC_SCOPED_WAIT_COUNTER(demo.budget.acquire);
      changed_.wait(lock, [&] { return free_ >= bytes; });
    }
    free_ -= bytes;
    return bytes;
  }

  // REQUIRES: what acquire() returned.
  void release(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    free_ += bytes;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::size_t total_;
  std::size_t free_;
};

}  // namespace demo
