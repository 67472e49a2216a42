// SPDX-License-Identifier: MIT
//
// Forks of processes that have a file which is not attached to yet: they have it as well, and may have waited and ended before
// anybody looked at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

struct Fork {
  std::uint32_t pid = 0;
  std::uint32_t parent_pid = 0;
  std::string comm;  // any bytes
  std::uint64_t time_ns = 0;
};

// From when to when a process had a file that was not attached to.
struct Unattached {
  std::uint32_t pid = 0;
  std::string file;  // any bytes
  std::uint64_t from_ns = 0;
  std::uint64_t until_ns = UINT64_MAX;
  const UnverifiedReason* why = nullptr;  // null: it was attached to in the end
};

// Threads: one at a time. Moments: nanoseconds of CLOCK_MONOTONIC.
class Heirs {
 public:
  using Tell = std::function<void(const Fork& heir, const Unattached& of)>;
  // `tell` is called for each heir of what add() was given, and for its heirs in turn, whichever is heard of first.
  explicit Heirs(Tell tell) : tell_(std::move(tell)) {}

  void add(Unattached one);
  void process_began(Fork fork);

  // A process has lost nothing with a file after all: takes away what was added of it and of its heirs, whose pids it gives.
  std::vector<std::uint32_t> take(std::uint32_t pid, const std::string& file);

 private:
  void pass_on(const Unattached& one, const Fork& fork);

  Tell tell_;
  std::deque<Fork> forks_;  // the last ones, in the order in which they were heard of
  std::vector<Unattached> unattached_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> heirs_;  // pids of parent and child
};

}  // namespace waitprobe
