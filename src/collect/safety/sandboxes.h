// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/process/library_instances.h"
#include "src/collect/process/process_memory.h"

namespace waitprobe {

// Seccomp, of a process or a thread of it.
enum class Sandbox { none, strict, filtered };
// The strictest that a thread of a process is in.
Sandbox sandbox_of(std::uint32_t pid);

// A system call that a traced wait may make, as it makes it.
struct WaitCall {
  int number;
  std::uint64_t arguments[6];
};

// Those that waits in a process with so many threads may still make: none once the library has prepared what they need, and has
// blocks for all threads. `root`: nothing where it cannot be read, or is of another version.
std::vector<WaitCall> calls_left(const std::optional<wp_root>& root, std::size_t thread_cnt);

struct SandboxVerdict {
  std::string kills;    // how a traced wait would end the process; empty: no way is known
  std::string unknown;  // what could not be found out; empty: nothing
};

// What attaching to its file would do to a process. N.B. A thread with filters is stopped for a moment, if it may make calls.
SandboxVerdict examine_sandbox(const LibraryInstance& instance);

}  // namespace waitprobe
