// SPDX-License-Identifier: MIT
//
// Which instances of the library are known to be armed: of each, the semaphores that the kernel should have raised are read
// from its memory. That a program is attached to a file does not tell: where two segments map the page of the semaphore, or a
// process has the file twice, the kernel raises another word.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "src/collect/trace/attachments.h"
#include "src/collect/process/library_instances.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// Threads: one at a time. Units: moments are nanoseconds since the session began to count.
class Verification {
 public:
  // `programs`: whose probes' semaphores are to be raised.
  explicit Verification(const std::vector<ProbeProgram>& programs);

  // All instances that a process of this name carries now of files that were attached to; others that it had are gone. Reads
  // what of them is armed. Returns the file of one that is armed and was not when it was looked at before; null: there is none.
  const std::string* look(std::uint32_t pid, const std::string& comm, const std::vector<LibraryInstance>& instances,
                          std::uint64_t now_ns);

  // Whether it first found an instance in this file between these moments (CLOCK_MONOTONIC).
  bool has_found(std::uint32_t pid, const std::string& file, std::uint64_t since_ns, std::uint64_t until_ns) const;

  // A process that cannot be vouched for, whatever its memory says.
  void add(Unverified process);

  // A process of which not all files could be seen: this one, or, if it is empty, not even which there are.
  void is_hidden(std::uint32_t pid, const std::string& comm, const std::string& file);
  // From now on they can.
  void is_seen(std::uint32_t pid, std::uint64_t now_ns);

  // A process that has ended.
  void end(std::uint32_t pid, std::uint64_t now_ns);

  // Processes to be looked at again: one of their instances is not armed, or not any more, or a file could not be seen.
  std::vector<std::uint32_t> doubtful() const;

  std::vector<Unverified> unverified() const;

 private:
  struct Known {
    const UnverifiedReason* why = nullptr;  // null: it is armed
    std::vector<std::uint64_t> words;       // addresses of the semaphores
    std::uint64_t found_ns = 0;             // first; CLOCK_MONOTONIC
    std::string comm;
    std::string file;
  };
  using Place = std::pair<std::uint32_t, std::uint64_t>;  // pid, address of the root

  std::vector<std::uint64_t> words_of(const LibraryInstance& instance) const;
  static const UnverifiedReason* doubt_of(const LibraryInstance& instance, const std::vector<std::uint64_t>& words);
  static const UnverifiedReason* doubt_unread(const LibraryInstance& instance, const std::vector<LibraryInstance>& instances);
  void end(std::map<Place, Known>::iterator entry, std::uint64_t now_ns);

  std::vector<std::string> probes_;
  std::map<Place, Known> known_;
  std::map<std::uint32_t, std::pair<std::string, std::string>> hidden_;  // name and file, by pid
  // By pid, name, file and reason, until when: processes that have ended, and what add() was told of.
  std::map<std::tuple<std::uint32_t, std::string, std::string, std::string>, std::uint64_t> others_;
};

}  // namespace waitprobe
