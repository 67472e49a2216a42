// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "src/model/result.h"

struct bpf_object;
struct bpf_object_skeleton;

namespace waitprobe {

class LibbpfLog;

// Attaches what a loaded skeleton attaches by itself, and its tracepoints by way of perf, whose numbers are in tracefs: libbpf
// would read them only where that is mounted. The links belong to the skeleton.
//
// Errors: a right is missing, or a tracepoint is not there.
Result<void> attach_to_kernel(bpf_object_skeleton& skeleton, const LibbpfLog& log);

// How often the kernel has passed over one of the programs, because another was running on the same CPU.
std::uint64_t missed_runs(const bpf_object* object);

}  // namespace waitprobe
