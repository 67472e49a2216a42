// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

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
  std::uint64_t place_ = 0;  // of libc's `environ`; found at the first look
  std::uint64_t table_ = 0;  // what it points to
};

// One variable in the environments of many processes, remembered beyond their ends. A process may set it late: each is looked
// at again, soon at first, then ever more rarely. Units: nanoseconds of CLOCK_MONOTONIC.
//
// Threads: one at a time.
class EnvironmentReader {
 public:
  explicit EnvironmentReader(std::string variable) : variable_(std::move(variable)) {}

  const std::string& variable() const { return variable_; }

  // A process that is to be looked at. `is_new`: it has begun, or started another program, since it was added last.
  void add(std::uint32_t pid, bool is_new, std::uint64_t now_ns);

  // Looks at those that are due.
  void look(std::uint64_t now_ns);
  // Looks at all, for the last time.
  void look_at_all();
  // When the next is due; UINT64_MAX: never.
  std::uint64_t next_ns() const;

  // Of the process of a series. Of one that has ended before it could be looked at, that of its parent, unless that was seen to
  // change it or a child to have another.
  std::optional<std::string> value_of(const Series& series);

 private:
  using Process = std::pair<std::uint32_t, std::uint64_t>;  // pid, start in ticks

  struct Known {
    explicit Known(std::uint32_t pid) : environment(pid) {}

    Environment environment;
    bool was_looked_at = false;
    std::optional<std::string> value;
    bool is_inherited = true;  // neither it nor a child of it was seen to have another value
    std::uint64_t next_ns = 0;
    std::uint64_t interval_ns = 0;
  };

  void look_at(const Process& process, Known& known);
  Known* parent_of(std::uint32_t parent_pid, std::uint64_t child_start_ticks);

  std::string variable_;
  std::map<Process, Known> known_;
};

}  // namespace waitprobe
