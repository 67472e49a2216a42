// SPDX-License-Identifier: MIT
//
// Where a process runs, as its control group tells.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/collect/process/process_map.h"
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
    known_.try_emplace({pid, start_ticks}, std::move(group));
  }

  // Of the process of a series. Of a forked one that had ended before it could be looked at, that of its parent.
  ProcessPlace of(const Series& series) const;

  // See ProcessMap.
  bool is_crowded() const { return known_.is_crowded(); }
  void forget_all_but(const std::vector<Series>& series) { known_.forget_all_but(series); }

 private:
  ProcessMap<ProcessPlace> known_;
};

}  // namespace waitprobe
