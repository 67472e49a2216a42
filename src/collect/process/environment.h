// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/collect/process/process.h"
#include "src/collect/process/process_map.h"
#include "src/collect/process/watch_list.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// The environment of a process as it is now: what the process has set itself counts (Python's os.environ), where the table of
// its libc can be found; otherwise what it was started with.
class Environment {
 public:
  explicit Environment(std::uint32_t pid) : pid_(pid) {}

  // What a variable is set to: at most 256 bytes, any. Nothing when it is not set, or cannot be read.
  std::optional<std::string> value_of(const std::string& name);

 private:
  bool find_table();

  std::uint32_t pid_;
  FileId executable_;        // in which, or beside which, the place was found
  int searches_ = 0;         // of that executable
  std::uint64_t place_ = 0;  // of libc's `environ`; 0: not found
  std::uint64_t table_ = 0;  // what it points to
};

// One variable in the environments of many processes, remembered beyond their ends. A process may set it late: each is looked
// at again, soon at first, then every second, or as often as one percent of a CPU allows. Units: nanoseconds of
// CLOCK_MONOTONIC.
//
// Threads: one at a time.
class EnvironmentReader {
 public:
  explicit EnvironmentReader(std::string variable) : variable_(std::move(variable)) {}

  const std::string& variable() const { return variable_; }

  // A process that is to be looked at. `is_new`: it has begun, or is known to have started another program, since it was added
  // last.
  void add(std::uint32_t pid, bool is_new, std::uint64_t now_ns);

  // Looks at those that are due.
  void look(std::uint64_t now_ns);
  // Looks at all, for the last time.
  void look_at_all();
  // When the next is due; UINT64_MAX: never.
  std::uint64_t next_ns() const { return std::max(watches_.next_ns(), not_before_ns_); }

  // Of the process of a series. Of a forked one that has ended before it could be looked at, that of its parent, unless that
  // was seen to change it or a child to have another.
  std::optional<std::string> value_of(const Series& series);

  // See ProcessMap.
  bool is_crowded() const { return known_.is_crowded(); }
  void forget_all_but(const std::vector<Series>& series) { known_.forget_all_but(series); }

 private:
  struct Known {
    explicit Known(std::uint32_t pid) : environment(pid) {}

    Environment environment;
    bool was_looked_at = false;
    std::optional<std::string> value;
    bool may_be_inherited = true;  // neither it nor a child of it was seen to have another value
  };
  using Entry = ProcessMap<Known>::Entry;

  // False when the process has ended.
  bool look_at(Entry& entry);
  std::string variable_;
  ProcessMap<Known> known_;
  WatchList watches_;  // those that have not ended
  std::uint64_t not_before_ns_ = 0;
};

}  // namespace waitprobe
