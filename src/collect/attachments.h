// SPDX-License-Identifier: MIT
//
// One BPF program, attached to one probe of many files. A file is attached to once, for every process that maps it now or
// later; which of them count is decided in the kernel.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "src/collect/copies.h"
#include "src/model/result.h"

struct bpf_link;
struct bpf_program;

namespace waitprobe {

// Threads: one at a time. Lifetime: the program must outlive it.
class Attachments {
 public:
  Attachments(const bpf_program* program, std::string probe) : program_(program), probe_(std::move(probe)) {}

  bool has(const ProbeFile& file) const { return links_.contains(file.on_disk); }

  // Attaches to the file of a copy, unless that is done. Errors: the process has ended, a foreign uprobe is in the way, the
  // kernel refuses.
  Result<void> attach(const Copy& copy);

  // Attaches to an open file. `known_as` is its path, for people and other tools.
  Result<void> attach(const ProbeFile& file, const FileDescriptor& opened, const std::string& known_as);

  // Takes about 100 ms a file. On return no hit of the probe is under way.
  void detach() { links_.clear(); }

 private:
  struct Destroy {
    void operator()(bpf_link* link) const;
  };

  const bpf_program* program_;
  std::string probe_;
  std::map<FileId, std::unique_ptr<bpf_link, Destroy>> links_;  // by ProbeFile::on_disk
};

}  // namespace waitprobe
