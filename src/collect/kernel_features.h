// SPDX-License-Identifier: MIT
#pragma once

#include "src/model/result.h"

namespace waitprobe {

// What this kernel has of what not every kernel has, as its type information says: never told by its version.
struct KernelFeatures {
  bool exec_is_announced = false;  // tracepoint sched_prepare_exec: the old memory is still there
  bool exit_is_early = false;      // tracepoint sched_process_exit comes while the memory is still there
};

// Errors: the kernel has no type information.
Result<KernelFeatures> read_kernel_features();

}  // namespace waitprobe
