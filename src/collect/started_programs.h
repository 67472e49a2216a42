// SPDX-License-Identifier: MIT
//
// Programs that have started and are watched for what they carry. One that ends before a copy of the library was found in it
// may have waited unseen: then its file tells whether it can have.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bpf/abi.h"
#include "src/collect/file_descriptor.h"
#include "src/collect/process.h"
#include "src/collect/program_file.h"

namespace waitprobe {

// A process that has ended, of which no copy of the library was ever found.
struct EndedProgram {
  std::uint32_t pid = 0;
  std::string comm;  // any bytes
  std::string path;  // any bytes, as exec was given it
  std::uint64_t start_ns = 0;
  FileDescriptor file;  // its program; not ok() where it could not be opened any more
  Carries carries = Carries::unknown;
};

// Threads: one at a time.
class StartedPrograms {
 public:
  // What the process ran before has ended with this. False when there is no room. REQUIRES: all hits of before have been told.
  bool add(const wp_program_start& start);

  // Whether nothing is known of it yet.
  bool watches(std::uint32_t pid) const { return running_.contains(pid); }

  // A copy of the library was found in it, or a hit of its probes has come: it is as good as seen.
  void seen(std::uint32_t pid);
  // It lives, and has carried nothing for long: neither will others of its file, as far as anybody can tell.
  void carries_nothing(std::uint32_t pid);
  // It has ended, or runs another program. Whether it was seen is known when take_ended() is called, since its hits may still be
  // on their way.
  void ended(std::uint32_t pid);

  // Those that have been watched for so long.
  std::vector<std::uint32_t> older_than(std::uint64_t start_ns) const;
  std::vector<std::uint32_t> all() const { return older_than(UINT64_MAX); }

  // Those that have ended unseen, and whose file does not rule out that they waited.
  std::vector<EndedProgram> take_ended();

 private:
  struct Started {
    FileId file;
    std::uint32_t parent_pid = 0;
    std::string comm, path;
    std::uint64_t start_ns = 0;
  };

  EndedProgram judge(std::uint32_t pid, const Started& started);

  // Both by pid.
  std::map<std::uint32_t, Started> running_;
  std::multimap<std::uint32_t, Started> ended_;
  std::set<FileId> harmless_;  // files of programs that have been seen to carry nothing, or cannot
  ProgramFiles files_;
};

}  // namespace waitprobe
