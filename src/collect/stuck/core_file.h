// SPDX-License-Identifier: MIT
#pragma once

#include <libelf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/process.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/stuck/stuck_session.h"
#include "src/model/open_wait.h"
#include "src/model/result.h"

namespace waitprobe {

// A core dump of a process of this architecture. Threads: one at a time.
class CoreFile : public Memory {
 public:
  struct Thread {
    std::uint32_t tid = 0;  // of its own pid namespace
    wp_regs registers = {};
  };

  // Errors: it is none, or is cut off before what it says that it holds.
  static Result<CoreFile> open(const std::string& path);

  bool read(std::uint64_t address, void* to, std::size_t bytes) const override;

  const std::string& comm() const { return comm_; }
  std::uint32_t pid() const { return pid_; }
  const std::vector<Thread>& threads() const { return threads_; }
  // Of files; each file has a number of its own in place of its inode.
  const std::vector<Mapping>& mappings() const { return mappings_; }
  std::uint64_t modified_unix_ns() const { return modified_unix_ns_; }

  // A file of a mapping, found by its path; not ok() when there is another file by now.
  FileDescriptor open_mapped(const Mapping& mapping) const;

  // The addresses of all roots, found by what they begin with: so the files need not be there.
  std::vector<std::uint64_t> find_roots() const;

 private:
  struct Segment {
    std::uint64_t address = 0, bytes = 0;  // in memory
    std::uint64_t offset = 0, held = 0;    // in the file, which may hold less
    bool writable = false, executable = false;
  };

  void add_notes(Elf_Data& notes);
  void add_files(const char* data, std::size_t bytes);
  const Segment* segment_of(std::uint64_t address) const;
  void describe_mappings();

  FileDescriptor file_;
  std::string comm_;
  std::uint32_t pid_ = 0;
  std::uint64_t modified_unix_ns_ = 0;
  std::vector<Thread> threads_;
  std::vector<Mapping> mappings_;
  std::vector<Segment> segments_;  // by address
};

// What was waited for when it was made. Names of threads and what the kernel said of them are not in it. Ages are those at the
// time when the file was last written, if that was on this machine since it was started, as the times in it tell; otherwise
// they are not known, and all open waits are told of. Errors: those of CoreFile; it carries no probes.
Result<OpenWaits> read_open_waits(const std::string& core_path, const StuckOptions& options);

}  // namespace waitprobe
