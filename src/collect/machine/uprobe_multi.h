// SPDX-License-Identifier: MIT
//
// Links of type uprobe_multi (Linux 6.6), which libbpf 1.1 does not know. They need CAP_BPF and CAP_PERFMON alone, where uprobes of
// perf may need CAP_SYS_ADMIN, and take a fraction of the time to close.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>

#include "src/collect/machine/file_descriptor.h"

struct bpf_program;

namespace waitprobe {

// Both are offsets in the file. 0: there is no semaphore.
struct UprobePlace {
  std::uint64_t offset = 0;
  std::uint64_t semaphore_offset = 0;
};

// Whether this kernel has such links and lets this user make them, by a try. Threads: any.
bool has_uprobe_multi();

// Has a program loaded for such links, where there are any: it cannot be attached by perf then. REQUIRES: it is not loaded yet.
void prefer_uprobe_multi(bpf_program* program);
bool is_for_uprobe_multi(const bpf_program* program);

// Loads a program of a few instructions for such links. Errors: not ok(), and errno tells why.
FileDescriptor load_uprobe_program(std::span<const bpf_insn> instructions);

// Attaches a program to a place in a file, for the process `pid`, or, if that is 0, for all that map the file. Closing the link
// waits until no CPU runs the program. Errors: not ok(), and errno tells why.
FileDescriptor attach_uprobe_multi(int program, const std::string& path, const UprobePlace& place, std::uint32_t pid = 0);

// The same with a program that does nothing: it only raises the semaphore.
FileDescriptor attach_nothing(const std::string& path, const UprobePlace& place);

}  // namespace waitprobe
