// SPDX-License-Identifier: MIT
//
// Threads in uninterruptible sleep that no guard tells of: they wait for a disk or a server of files that does not answer, and
// nothing can end them.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "src/model/open_wait.h"

namespace waitprobe {

// Every thread that reads a file sleeps so for a moment. So they are looked at twice. Threads: one at a time.
class UnguardedSleepers {
 public:
  // The first look, at all threads of these processes.
  explicit UnguardedSleepers(const std::set<std::uint32_t>& pids);

  // The second look, at least 100 ms after the first: those that have slept without a break, without those that have a guard.
  // Does not wait where the first look has found none.
  std::vector<OpenWaits::Sleeper> still_asleep(const std::function<bool(std::uint32_t tid)>& has_guard) const;

 private:
  struct Seen {
    std::uint32_t pid;
    std::uint32_t tid;
    std::uint64_t switches;
    std::uint64_t at_ns;
  };
  std::vector<Seen> seen_;
};

}  // namespace waitprobe
