// SPDX-License-Identifier: MIT
//
// Files with probes that processes have mapped since the session began, until a look at the process has found them. One that
// ends before that may have waited unseen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/process/library_instances.h"
#include "src/collect/process/probe_notes.h"
#include "src/collect/process/process.h"

namespace waitprobe {

struct OpenedFile {
  std::uint32_t pid = 0;
  std::string comm;  // any bytes
  Mapping mapping;
  std::uint64_t time_ns = 0;                // CLOCK_MONOTONIC
  std::shared_ptr<const ProbeFile> probes;  // null: it could not be read
  bool is_second = false;                   // the process had it already, at another place
  bool is_again = false;                    // so too, and it was closed and mapped there once more
  std::uint64_t ended_ns = UINT64_MAX;      // by then it was no more there
};

// What processes do has to be told in the order in which it happened.
//
// Threads: one at a time. Moments: nanoseconds of CLOCK_MONOTONIC.
class OpenedFiles {
 public:
  // False when there is no room.
  bool add(OpenedFile opened);

  // A process that the session follows. False when there is no room.
  bool is_there(std::uint32_t pid, std::uint32_t parent_pid, std::string comm, std::uint64_t since_ns = 0);
  // Its number is that of another one now, which it does not follow.
  void is_another(std::uint32_t pid, std::uint64_t time_ns);
  // What the process ran before has ended with this.
  void program_started(std::uint32_t pid, std::string comm, std::uint64_t time_ns);
  void is_named(std::uint32_t pid, std::string comm);
  void thread_ended(std::uint32_t pid, std::uint64_t time_ns);

  struct Program {
    std::string comm;
    std::uint64_t since_ns = 0;
    std::uint64_t thread_ended_ns = 0;  // the last one that has; 0: none
    std::uint32_t parent_pid = 0;
  };
  // What a process runs, or ran when it ended; empty and 0 where that is not known.
  Program program_of(std::uint32_t pid) const;
  // Whether it follows the process, alive or not.
  bool knows(std::uint32_t pid) const { return programs_.contains(pid); }

  // A look has found an instance in its process: the file, if it had not been asked for yet. By its address and
  // its name if need be, since on an overlay some kernels (6.8 to 6.17) tell of the file of a layer.
  std::optional<OpenedFile> found(const LibraryInstance& instance);
  // A look has found nobody there any more.
  void is_gone(std::uint32_t pid) { end_before(pid, UINT64_MAX); }
  // A look that began then has found no instance but those that found() was told of.
  void looked_at(std::uint32_t pid, std::uint64_t time_ns);

  // Processes with files that have not been found, and were mapped before then.
  std::vector<std::uint32_t> waiting_since(std::uint64_t time_ns) const;
  // What was mapped before then, and has not been found, will not be. Who had a file with probes has closed it.
  void give_up_before(std::uint64_t time_ns);

  // Files of processes that have ended, and those that were closed.
  std::vector<OpenedFile> take_ended();

 private:
  void end_before(std::uint32_t pid, std::uint64_t time_ns);
  void forget_ended(std::uint64_t now_ns);

  std::map<std::uint32_t, Program> programs_;  // by pid
  std::size_t next_forgetting_ = 0;            // at so many
  std::multimap<std::uint32_t, OpenedFile> waiting_;
  std::vector<OpenedFile> ended_;
};

}  // namespace waitprobe
