// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/machine/uprobe_multi.h"

struct bpf_link;
struct bpf_program;

namespace waitprobe {

// A BPF program attached to a place in a file: by uprobe_multi if it was loaded for that (prefer_uprobe_multi()), else by perf.
//
// Lifetime: detaches. That takes 20 to 100 ms; on return no CPU runs the program for this place any more.
class UprobeLink {
 public:
  UprobeLink() = default;

  // For the process `pid`, or, if that is 0, for all that map the file. Errors: not ok(), and errno tells why.
  static UprobeLink attach(const bpf_program* program, const std::string& path, const UprobePlace& place,
                           std::uint32_t pid = 0);

  bool ok() const { return multi_.ok() || perf_ != nullptr; }
  void detach() { *this = UprobeLink(); }

 private:
  struct Destroy {
    void operator()(bpf_link* link) const;
  };

  FileDescriptor multi_;
  std::unique_ptr<bpf_link, Destroy> perf_;
};

}  // namespace waitprobe
