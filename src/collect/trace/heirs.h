// SPDX-License-Identifier: MIT
//
// Forks of processes that have a file which is not attached to yet: they have it as well, and may have waited and ended before
// anybody looked at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
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
  std::uint64_t until_ns = UINT64_MAX;  // it runs another program since, or its number is that of another
};

// From when to when a process had a file that was not attached to.
struct Unattached {
  std::uint32_t pid = 0;
  std::string file;      // any bytes
  std::uint64_t id = 0;  // of the instance that has been found to have it, and of all that have it from there
  std::uint64_t from_ns = 0;
  std::uint64_t until_ns = UINT64_MAX;
  std::uint64_t attached_ns = UINT64_MAX;  // for all processes
  const UnverifiedReason* why = nullptr;   // null: it was attached to in the end
};

// What processes do has to be told in the order in which it happened; of what they had, one may hear later.
//
// Threads: one at a time. Moments: nanoseconds of CLOCK_MONOTONIC.
class Heirs {
 public:
  using Tell = std::function<void(const Fork& heir, const Unattached& of)>;
  // `tell` is called for each heir of what add() was given, and for its heirs in turn, whichever is heard of first.
  explicit Heirs(Tell tell) : tell_(std::move(tell)) {}

  // False when there may be heirs that are not remembered.
  bool add(Unattached one);

  void process_began(Fork fork);
  // It runs another program, or its number is that of another process.
  void end(std::uint32_t pid, std::uint64_t time_ns);

  // An instance has lost nothing after all, nor have its heirs.
  void forget(std::uint64_t id);

 private:
  void pass_on(const Unattached& one, const Fork& fork);

  Tell tell_;
  std::map<std::uint32_t, Fork> forks_;                        // by pid
  std::deque<std::pair<std::uint32_t, std::uint64_t>> order_;  // pids and times of forks_
  std::uint64_t forgotten_ns_ = 0;                             // when the last of the forks was that are not in forks_ any more
  std::vector<Unattached> unattached_;
};

}  // namespace waitprobe
