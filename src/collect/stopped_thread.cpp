// SPDX-License-Identifier: MIT
#include "src/collect/stopped_thread.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <iterator>

#include "src/collect/clock.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_stack = 64 << 10;
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t patience_ns = 100'000'000;

#if defined(__aarch64__)
using Registers = user_pt_regs;
#else
using Registers = user_regs_struct;
#endif
static_assert(sizeof(Registers) >= sizeof(wp_regs));

Error error_of(std::uint32_t tid, const std::string& why) { return {"stop", "thread " + std::to_string(tid), why, ""}; }

// Seized from its construction until it is let go. Nothing is left behind if the tool ends meanwhile.
class Seized {
 public:
  explicit Seized(std::uint32_t tid) : tid_(static_cast<pid_t>(tid)) {
    is_ours_ = ptrace(PTRACE_SEIZE, tid_, nullptr, nullptr) == 0 && ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) == 0;
  }
  // What it had been sent goes on to it.
  ~Seized() {
    if (is_stopped_) ptrace(PTRACE_DETACH, tid_, nullptr, reinterpret_cast<void*>(static_cast<std::intptr_t>(signal_)));
  }
  Seized(const Seized&) = delete;
  Seized& operator=(const Seized&) = delete;

  bool is_ours() const { return is_ours_; }

  bool wait_until_stopped() {
    int status = 0;
    const std::uint64_t deadline_ns = now_ns() + patience_ns;
    for (;;) {
      const pid_t got = waitpid(tid_, &status, __WALL | WNOHANG);
      if (got == tid_) break;
      if (got < 0 || now_ns() > deadline_ns) return false;
      const timespec shortly = {0, 20'000};
      nanosleep(&shortly, nullptr);
    }
    is_stopped_ = WIFSTOPPED(status);
    if (is_stopped_ && status >> 16 != PTRACE_EVENT_STOP) signal_ = WSTOPSIG(status);
    return is_stopped_;
  }

  bool read_registers(wp_regs& to) const {
    Registers registers = {};
    iovec part = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, tid_, reinterpret_cast<void*>(NT_PRSTATUS), &part) != 0) return false;
    std::memcpy(&to, &registers, sizeof to);
    return true;
  }

 private:
  pid_t tid_;
  int signal_ = 0;
  bool is_ours_ = false, is_stopped_ = false;
};

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
    Seized seized(tid);
    if (!seized.is_ours()) {
      const bool has_ended = errno == ESRCH;
      return error_of(tid, has_ended ? "it has ended" : "a debugger has it, or the right to is missing (CAP_SYS_PTRACE)");
    }
    if (!seized.wait_until_stopped()) return error_of(tid, "it does not stop: the kernel waits for something in its name");
    if (!seized.read_registers(thread.sample.registers)) return error_of(tid, "it has ended");
    thread.sample.stack_address = stack_pointer(thread.sample.registers);
    thread.sample.stack = read_stack(memory, thread.sample.stack_address);
  }
  thread.stopped_ns = now_ns() - began_ns;
  return thread;
}

}  // namespace waitprobe
