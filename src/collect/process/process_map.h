// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "src/collect/process/process.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// What is known of many processes, remembered beyond their ends.
//
// Threads: one at a time.
template <class Value>
class ProcessMap {
 public:
  using Process = std::pair<std::uint32_t, std::uint64_t>;  // pid, start in ticks
  using Entry = typename std::map<Process, Value>::value_type;

  template <class... Arguments>
  auto try_emplace(Process process, Arguments&&... arguments) {
    return known_.try_emplace(process, std::forward<Arguments>(arguments)...);
  }

  // Null: it is not known.
  const Entry* find(Process process) const {
    const auto entry = known_.find(process);
    return entry != known_.end() ? &*entry : nullptr;
  }
  // Whoever had a number at a moment. Null: nobody who is known.
  Entry* find_at(std::uint32_t pid, std::uint64_t at_ticks) {
    return const_cast<Entry*>(std::as_const(*this).find_at(pid, at_ticks));
  }
  const Entry* find_at(std::uint32_t pid, std::uint64_t at_ticks) const {
    auto entry = known_.upper_bound({pid, at_ticks});
    if (entry == known_.begin() || (--entry)->first.first != pid) return nullptr;
    return &*entry;
  }

  // There are many that have ended. Then all but those of these series are to be forgotten.
  bool is_crowded() const { return known_.size() >= crowded_; }
  void forget_all_but(const std::vector<Series>& series) {
    std::set<Process> wanted;
    for (const Series& s : series) wanted.insert({s.pid, s.process_start_ticks});
    std::erase_if(known_, [&](const Entry& entry) {
      return !wanted.contains(entry.first) && start_ticks_of(entry.first.first) != entry.first.second;
    });
    crowded_ = std::max(crowded_, 2 * known_.size());
  }

 private:
  std::map<Process, Value> known_;
  std::size_t crowded_ = 16'384;
};

}  // namespace waitprobe
