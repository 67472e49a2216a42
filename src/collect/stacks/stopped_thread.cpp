// SPDX-License-Identifier: MIT
#include "src/collect/stacks/stopped_thread.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "src/collect/machine/clock.h"
#include "src/collect/process/seized_thread.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_stack = 64 << 10;
constexpr std::uint64_t page = 4096;

Error error_of(std::uint32_t tid, const std::string& why) { return {"stop", "thread " + std::to_string(tid), why, ""}; }

}  // namespace

std::vector<std::byte> read_stack(const Memory& memory, std::uint64_t stack_pointer) {
  std::vector<std::byte> stack;
  while (stack.size() < most_stack) {
    const std::uint64_t at = stack_pointer + stack.size();
    const std::size_t bytes = page - at % page, before = stack.size();
    stack.resize(before + bytes);
    if (memory.read(at, stack.data() + before, bytes)) continue;
    stack.resize(before);
    break;
  }
  return stack;
}

Result<StoppedThread> stop_and_sample(const Memory& memory, std::uint32_t tid) {
  StoppedThread thread;
  const std::uint64_t began_ns = now_ns();
  {
    SeizedThread seized(tid);
    if (!seized.is_ours()) {
      const bool has_ended = errno == ESRCH;
      return error_of(tid, has_ended ? "it has ended" : "a debugger is attached, or CAP_SYS_PTRACE is missing");
    }
    if (!seized.wait_until_stopped()) return error_of(tid, "it did not stop: it is blocked in the kernel");
    if (!seized.read_registers(thread.sample.registers)) return error_of(tid, "it has ended");
    thread.sample.stack_address = stack_pointer(thread.sample.registers);
    thread.sample.stack = read_stack(memory, thread.sample.stack_address);
  }
  thread.stopped_ns = now_ns() - began_ns;
  return thread;
}

}  // namespace waitprobe
