// SPDX-License-Identifier: MIT
//
// From samples of stacks to functions, files and lines. Knows the files of processes that it has looked at while they lived,
// and so tells of those that have ended, too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/process.h"
#include "src/collect/stacks/stack_sample.h"
#include "src/model/stack.h"

namespace waitprobe {

// Unwinds by the tables in .eh_frame or .debug_frame, so that frame pointers are not needed. Threads: one at a time.
class Symbolizer {
 public:
  Symbolizer();
  ~Symbolizer();
  Symbolizer(Symbolizer&&) noexcept;

  // Looks at what a process has mapped, and keeps the files open: those of one file once, however many processes map it. To be
  // called again when it may have mapped more; that of a process which has ended, or may not be read, changes nothing.
  void look_at(std::uint32_t pid);

  // The same for what a core dump says of a process: its mappings, and how to open their files.
  void learn(std::uint32_t pid, const std::vector<Mapping>& mappings,
             const std::function<FileDescriptor(const Mapping&)>& open);

  // What a thread of the process was doing. Frames of the library itself, which come first where a wait begins or ends, are
  // left out. Empty when the process is not known. N.B. Debug information is read on first use, which can take a second.
  Stack stack_of(std::uint32_t pid, const StackSample& sample);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace waitprobe
