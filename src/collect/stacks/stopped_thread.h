// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "src/collect/process/process_memory.h"
#include "src/collect/stacks/stack_sample.h"
#include "src/model/result.h"

namespace waitprobe {

// Of the stack above the stack pointer, as much as can be read, up to 64 KiB.
std::vector<std::byte> read_stack(const Memory& memory, std::uint64_t stack_pointer);

struct StoppedThread {
  StackSample sample;
  std::uint64_t stopped_ns = 0;  // for so long it was kept from running
};

// Stops a thread by ptrace, copies its registers and its stack, and lets it go on. N.B. A system call that a signal would have
// ended early, such as epoll_wait, may end early with EINTR. Errors: a debugger has it, the right is missing, it has ended, or
// does not stop within 100 ms, because the kernel waits for something in its name.
Result<StoppedThread> stop_and_sample(const Memory& memory, std::uint32_t tid);

}  // namespace waitprobe
