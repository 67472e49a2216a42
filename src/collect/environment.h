// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "src/model/snapshot.h"

namespace waitprobe {

// What a variable is set to in the environment of a process as it is now: what the process has set itself counts (Python's
// os.environ), where the table of its libc can be found; otherwise what it was started with. At most 256 bytes, any. Nothing
// when it is not set, or cannot be read.
std::optional<std::string> environment_variable(std::uint32_t pid, const std::string& name);

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

  // Of the process of a series. Of one that has ended before it could be looked at, that of its parent, which it had from
  // there.
  std::optional<std::string> value_of(const Series& series) const;

 private:
  using Process = std::pair<std::uint32_t, std::uint64_t>;  // pid, start in ticks

  struct Known {
    bool was_looked_at = false;
    std::optional<std::string> value;
    std::uint64_t next_ns = 0;
    std::uint64_t interval_ns = 0;
  };

  void look_at(const Process& process, Known& known);

  std::string variable_;
  std::map<Process, Known> known_;
};

}  // namespace waitprobe
