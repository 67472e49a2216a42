// SPDX-License-Identifier: MIT
//
// What the file of a program tells of a process that has ended: whether it can have carried the library.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/file_descriptor.h"
#include "src/collect/probe_notes.h"

namespace waitprobe {

enum class Carries { yes, no, unknown };

// Threads: one at a time.
class ProgramFiles {
 public:
  // A program and the libraries that it names, as the loader would find them: `no` when none of them has probes, `unknown` when
  // one cannot be found. What a program opens by itself (dlopen, LD_PRELOAD) is not known from its file. `root`: the folder
  // that paths begin at. A file that was asked for before is not read again, until there are very many.
  Carries carries(const FileDescriptor& file, const std::string& path, const std::string& root);

 private:
  Carries read(const FileDescriptor& file, const std::string& path, const std::string& root, int depth);
  Carries read_library(const std::string& name, const std::vector<std::string>& folders, const std::string& root, int depth);
  Carries remembered(const FileDescriptor& file, const std::string& path, const std::string& root, int depth);

  std::map<FileId, Carries> known_;
};

// Where a loader looks for libraries by default, below a root: its configuration's folders, and the usual ones.
std::vector<std::string> library_folders(const std::string& root);

}  // namespace waitprobe
