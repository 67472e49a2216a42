// SPDX-License-Identifier: MIT
//
// Links of BPF programs to raw tracepoints with a cookie (Linux 6.10), which libbpf 1.1 does not know. The kernel runs such programs
// whatever the CPU is at. By way of perf it passes over them where a task that was preempted in a system call of bpf() is at work
// on one of its maps.
#pragma once

#include <cstdint>

#include "src/collect/machine/file_descriptor.h"

namespace waitprobe {

// Whether this kernel has such links. Needs no rights.
bool has_raw_tracepoint_cookies();

// Attaches a program of type raw_tracepoint to "sched_process_exit" and the like. Errors: not ok(), and errno tells why.
FileDescriptor attach_raw_tracepoint(int program, const char* name, std::uint64_t cookie);

}  // namespace waitprobe
