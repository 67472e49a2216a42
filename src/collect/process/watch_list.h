// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace waitprobe {

// When to look at a process again for what it has changed meanwhile (files that it has mapped, its environment): soon at first,
// then ever more rarely. Units: nanoseconds of CLOCK_MONOTONIC.
class WatchList {
 public:
  static constexpr std::uint64_t first_ns = 10'000'000;
  static constexpr std::uint64_t last_ns = 1'000'000'000;

  void add(std::uint32_t pid, std::uint64_t now_ns) { watches_[pid] = {now_ns + first_ns, first_ns}; }
  // From now on a process is dropped once its interval has grown to the longest: somebody else looks at it from then on.
  void forget_after_last() { forget_after_last_ = true; }
  void remove(std::uint32_t pid) { watches_.erase(pid); }

  // Those that are due, which moves their next time on.
  std::vector<std::uint32_t> take_due(std::uint64_t now_ns) {
    std::vector<std::uint32_t> due;
    for (auto& [pid, watch] : watches_) {
      if (watch.next_ns > now_ns) continue;
      watch.interval_ns = std::min(watch.interval_ns * 2, last_ns);
      watch.next_ns = now_ns + watch.interval_ns;
      due.push_back(pid);
    }
    if (forget_after_last_) std::erase_if(watches_, [](const auto& entry) { return entry.second.interval_ns == last_ns; });
    return due;
  }

  // All of them, which empties the list.
  std::vector<std::uint32_t> take_all() {
    std::vector<std::uint32_t> all;
    for (const auto& [pid, watch] : watches_) all.push_back(pid);
    watches_.clear();
    return all;
  }

  // UINT64_MAX when the list is empty.
  std::uint64_t next_ns() const {
    std::uint64_t next = UINT64_MAX;
    for (const auto& [pid, watch] : watches_) next = std::min(next, watch.next_ns);
    return next;
  }

 private:
  struct Watch {
    std::uint64_t next_ns = 0;
    std::uint64_t interval_ns = 0;
  };
  std::map<std::uint32_t, Watch> watches_;
  bool forget_after_last_ = false;
};

}  // namespace waitprobe
