// SPDX-License-Identifier: MIT
//
// A probe is set in a file, and so in every process that maps it, whoever asked for it. What that does to each is found out
// before.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/collect/process/library_instances.h"
#include "src/model/diagnosis.h"
#include "src/model/result.h"

namespace waitprobe {

// Threads: one at a time. Lifetime: the finder must outlive it.
class BeforeAttaching {
 public:
  // Forced, it warns of what it would refuse.
  explicit BeforeAttaching(InstanceFinder& finder, bool is_forced = false) : finder_(&finder), is_forced_(is_forced) {}

  // Whether a file may be attached to. What cannot be found out is a warning. Errors: a process that maps it would die.
  Result<void> check(const ProbeFile& file, const std::string& path, std::vector<Error>& warnings);

  // The same as a line of `doctor`.
  Check describe(const ProbeFile& file, const std::string& path);

 private:
  // Who maps what, as far as it can be seen.
  struct Survey {
    std::map<FileId, std::vector<LibraryInstance>> instances;  // by ProbeFile::on_disk
    std::vector<std::uint32_t> hidden;                         // sandboxed or translated, and not to be looked into
    std::uint64_t of_inode = 0;                                // of files with this inode alone; 0: of all
    std::uint64_t began_ns = 0, ended_ns = 0;
  };
  struct Hazard {
    std::uint32_t pid;
    std::string why, hint;
  };
  struct Hazards {
    std::vector<Hazard> deadly, unknown;
  };

  const Survey& survey(const ProbeFile& file);
  Hazards examine(const ProbeFile& file);
  Error refusal(const std::vector<Hazard>& deadly, const std::string& path) const;
  static Error doubt(const std::vector<Hazard>& unknown, const std::string& path);
  static Error doubt(const std::vector<std::uint32_t>& hidden);

  InstanceFinder* finder_;
  bool is_forced_;
  Survey survey_;
  int narrow_cnt_ = 0;
  bool has_told_hidden_ = false;
};

}  // namespace waitprobe
