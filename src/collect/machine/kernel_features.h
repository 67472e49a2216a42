// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/collect/machine/tracefs_folder.h"
#include "src/model/result.h"

namespace waitprobe {

// What this kernel has of what not every kernel has, as its tracepoints say: never told by its version.
struct KernelFeatures {
  bool exec_is_announced = false;  // tracepoint sched_prepare_exec: the old memory is still there
  bool exit_is_early = false;      // tracepoint sched_process_exit comes while the memory is still there
};

// Errors: tracefs cannot be read.
Result<KernelFeatures> read_kernel_features(const TracefsFolder& tracefs);

// The kernel's type information (BTF) as it is. Nothing when it cannot be read, and errno tells why.
std::optional<std::string> read_type_information();
// Whether a type, function or field of this name is in it.
bool has_name(std::string_view types, std::string_view name);

}  // namespace waitprobe
