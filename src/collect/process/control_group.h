// SPDX-License-Identifier: MIT
//
// Where a process runs, as its control group tells.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/model/process_place.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// `text`: what /proc/PID/cgroup holds.
ProcessPlace parse_control_group(std::string_view text);

// Of a process; all empty where it has ended or may not be read.
ProcessPlace control_group_of(std::uint32_t pid);

// The control groups of many processes, as they were first seen, and remembered beyond their ends.
//
// Threads: one at a time.
class ControlGroups {
 public:
  // A process, which is looked at unless it is known.
  void add(std::uint32_t pid);
  void remember(std::uint32_t pid, std::uint64_t start_ticks, ProcessPlace group) {
    known_.insert_or_assign({pid, start_ticks}, std::move(group));
  }

  // Of the process of a series. Of a forked one that had ended before it could be looked at, that of its parent.
  ProcessPlace of(const Series& series) const;

  // There are many that have ended. Then all but those of these series are to be forgotten.
  bool is_crowded() const { return known_.size() >= crowded_; }
  void forget_all_but(const std::vector<Series>& series);

 private:
  using Process = std::pair<std::uint32_t, std::uint64_t>;  // pid, start in ticks

  std::map<Process, ProcessPlace> known_;
  std::size_t crowded_ = 16'384;
};

}  // namespace waitprobe
