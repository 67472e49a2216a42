// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "src/collect/safety/before_attaching.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// Listens to the processes of files without being told of anything: so that they know their open waits. A uprobe on wait_block, which is
// hit when a thread waits for the first time, raises the semaphore that arms their guards.
//
// Lifetime: destroying it lets them go. Threads: one at a time.
class Arming {
 public:
  // Lifetime: `before` must outlive it.
  explicit Arming(BeforeAttaching& before) : before_(&before) {}

  // Arms all processes that map the file of an instance, unless that is done. Errors are kept as a warning.
  void arm(const LibraryInstance& instance);

  std::vector<Error> take_warnings() { return std::exchange(warnings_, {}); }

 private:
  Result<FileDescriptor> open_event(const LibraryInstance& instance);

  BeforeAttaching* before_;
  std::map<FileId, FileDescriptor> events_;  // by ProbeFile::on_disk; not ok() where it was refused
  std::vector<Error> warnings_;
};

}  // namespace waitprobe
