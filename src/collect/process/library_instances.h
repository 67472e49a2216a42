// SPDX-License-Identifier: MIT
//
// Finds the instances of the library that a process carries: one for each mapped file with the probes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/probe_notes.h"
#include "src/collect/process/process.h"
#include "src/model/result.h"
#include "src/model/unseen.h"

namespace waitprobe {

// Where the code of an instance is.
enum class Code {
  mapped,      // where it belongs: probes can be hit
  not_to_run,  // mapped without the right to execute it: another program reads it, and runs what it makes of it
  moved,       // not mapped any more: it was copied to memory of its own, such as huge pages
};

struct LibraryInstance {
  std::uint32_t pid = 0;
  FileId file;
  std::string path;                         // any bytes, for people
  std::shared_ptr<const ProbeFile> probes;  // never null
  std::uint64_t root_address = 0;           // in the process
  Code code = Code::mapped;
  std::uint64_t code_address = 0;  // of a probe, in the process; 0: not known
};

// Whether the process still has it: it may have ended since the instance was found, or run another program.
bool is_still_there(const LibraryInstance& instance);

// What to tell about a process that was asked for and carries no instance.
Error no_probes_error(std::uint32_t pid);

// The same, where it has a file that cannot be opened.
Error unopened_error(std::uint32_t pid, const std::string& path);

// Which of these it is, or that it has ended. `unopened` is what InstanceFinder::find() has found.
Error nothing_found_error(std::uint32_t pid, const std::set<std::string>& unopened);

// The processes of a name (pids_named()) that carry probes, or may: their memory map cannot be read, or a file in it cannot be
// opened. Errors: there is none.
Result<std::vector<std::uint32_t>> carriers_named(const std::string& glob);

// Where PyTorch's wait counters are, among the mappings of a process. Null: there is none, or it is linked statically.
const Mapping* pytorch_in(const std::vector<Mapping>& mappings);

// Remembers which files carry probes, so that looking at a process again costs one read of its memory map.
//
// Threads: one at a time.
class InstanceFinder {
 public:
  // All instances in a process, by address. `unopened` gets the paths of files that it may run code of and that cannot be
  // opened: they may carry probes. Of files with another inode than `of_inode`, if that is not 0, nothing is looked at. Errors:
  // the memory map cannot be read (ended, or no right to).
  Result<std::vector<LibraryInstance>> find(std::uint32_t pid, std::set<std::string>& unopened, std::uint64_t of_inode = 0);

  struct Found {
    std::vector<LibraryInstance> instances;
    Unseen unseen;
  };
  // Those in `pids`, or in every process there is if that is empty. Errors: a process of `pids` does not exist, cannot be read
  // or carries none.
  Result<Found> find_all(const std::vector<std::uint32_t>& pids);

  // The files with probes that processes have mapped. Nothing where there is one that cannot be read.
  std::optional<std::set<FileId>> mapped_files();

  // What a file that a process has mapped, or had, carries: a null pointer for no probes; nothing when it cannot be opened.
  std::optional<std::shared_ptr<const ProbeFile>> look_up(std::uint32_t pid, const Mapping& mapping, std::uint32_t parent_pid);

  // Whether one of the processes with instances that it has looked at has mapped PyTorch.
  bool has_seen_pytorch() const { return has_seen_pytorch_; }

  // Forgets files that no process has shown since the last call: their numbers may be given to others.
  void forget_unseen();

  // Forgets all files.
  void forget_all() { known_.clear(); }

  // A file of a process, opened however it can be; not ok() when it cannot. `parent_pid` is one that sees the same files, where
  // the process may have ended.
  static FileDescriptor open_mapped(std::uint32_t pid, const Mapping& mapping, std::uint32_t parent_pid = 0);
  // The same for that of an instance.
  static FileDescriptor open_instance(const LibraryInstance& instance);

 private:
  struct Known {
    std::shared_ptr<const ProbeFile> probes;  // null: none
    bool seen = true;
  };
  static std::set<std::string> still_mapped(std::uint32_t pid, const std::map<FileId, std::string>& files);

  std::map<FileId, Known> known_;
  bool has_seen_pytorch_ = false;
};

}  // namespace waitprobe
