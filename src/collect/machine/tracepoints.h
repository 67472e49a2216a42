// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

struct bpf_object;
struct bpf_object_skeleton;
struct bpf_program;

namespace waitprobe {

class LibbpfLog;
class TracefsFolder;

struct TracepointProgram {
  const bpf_program* program;
  const char* tracepoint;  // "sched/sched_process_exit"
  std::uint64_t cookie;    // for the program
};

// A program on a tracepoint by way of perf.
//
// Lifetime: what is not detached is left to close_late().
class TracepointLink {
 public:
  TracepointLink(FileDescriptor event, FileDescriptor link) : event_(std::move(event)), link_(std::move(link)) {}
  TracepointLink(TracepointLink&&) = default;
  TracepointLink& operator=(TracepointLink&&) = default;
  ~TracepointLink();

  // Takes the program away, which takes 20 to 50 ms. The event stays until the end.
  void detach() { link_.close(); }

 private:
  FileDescriptor event_;
  FileDescriptor link_;
};

// Attaches what a loaded skeleton attaches by itself, whose links belong to it, and programs to tracepoints by way of perf, whose
// numbers are in tracefs: libbpf would read them only where that is mounted.
//
// Errors: a right is missing, or a tracepoint is not there.
Result<std::vector<TracepointLink>> attach_to_kernel(bpf_object_skeleton& skeleton,
                                                     const std::vector<TracepointProgram>& programs,
                                                     const TracefsFolder& tracefs, const LibbpfLog& log);

// How often the kernel has passed over one of the programs, because another was running on the same CPU.
std::uint64_t missed_runs(const bpf_object* object);

}  // namespace waitprobe
