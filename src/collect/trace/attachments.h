// SPDX-License-Identifier: MIT
//
// BPF programs, each attached to its probe of many files. A file is attached to once, for every process that maps it now or
// later; which of them count is decided in the kernel.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "src/collect/machine/tracepoints.h"
#include "src/collect/machine/uprobe_link.h"
#include "src/collect/process/library_instances.h"
#include "src/model/result.h"

struct bpf_program;

namespace waitprobe {

// A loaded BPF program, and the name of the probe that it belongs on.
struct ProbeProgram {
  const bpf_program* program;
  const char* probe;
};

// Threads: one at a time. Lifetime: the programs must outlive it.
class Attachments {
 public:
  explicit Attachments(std::vector<ProbeProgram> programs) : programs_(std::move(programs)) {}

  bool has(const ProbeFile& file) const { return links_.contains(file.on_disk); }
  // Since when (nanoseconds of CLOCK_MONOTONIC); UINT64_MAX: it has not.
  std::uint64_t since_ns(const ProbeFile& file) const;

  // Attaches to the file of an instance, unless that is done. Errors: the process has ended, a foreign uprobe is in the way,
  // the kernel refuses.
  Result<void> attach(const LibraryInstance& instance);

  // Attaches to an open file. `known_as` is its path, for people and other tools.
  Result<void> attach(const ProbeFile& file, const FileDescriptor& opened, const std::string& known_as);

  // Detaches from files that have been deleted, and that no process maps. They would take memory and the space of their file
  // for as long as the session lasts.
  void drop_deleted(const std::set<FileId>& mapped);
  std::size_t size() const { return links_.size(); }

  // Detaches programs of tracepoints at the same time. Takes 20 to 50 ms, or 100 by perf. On return no program is under way.
  void detach(std::span<TracepointLink> tracepoints);

 private:
  static void close(std::span<UprobeLink> uprobes, std::span<TracepointLink> tracepoints);
  Result<UprobeLink> attach(const ProbeProgram& program, const ProbeFile& file, const std::string& path,
                            const std::string& shown_as);

  std::vector<ProbeProgram> programs_;
  struct Attached {
    std::vector<UprobeLink> links;  // one for each program
    std::uint64_t since_ns = 0;
    FileDescriptor file;
  };
  std::map<FileId, Attached> links_;  // by ProbeFile::on_disk
};

}  // namespace waitprobe
