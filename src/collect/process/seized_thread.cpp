// SPDX-License-Identifier: MIT
#include "src/collect/process/seized_thread.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "src/collect/machine/clock.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t patience_ns = 100'000'000;
constexpr std::size_t most_filters = 64;  // of a thread

static_assert(sizeof(user_regs_struct) >= sizeof(wp_regs));

void* as_pointer(std::size_t number) { return reinterpret_cast<void*>(number); }

}  // namespace

SeizedThread::SeizedThread(std::uint32_t tid) : tid_(static_cast<pid_t>(tid)) {
  is_ours_ = ptrace(PTRACE_SEIZE, tid_, nullptr, nullptr) == 0 && ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) == 0;
}

SeizedThread::~SeizedThread() {
  if (is_stopped_) ptrace(PTRACE_DETACH, tid_, nullptr, as_pointer(static_cast<std::size_t>(signal_)));
}

bool SeizedThread::wait_until_stopped() {
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

bool SeizedThread::read_registers(wp_regs& to) const {
  user_regs_struct registers = {};
  iovec part = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, tid_, as_pointer(NT_PRSTATUS), &part) != 0) return false;
  std::memcpy(&to, &registers, sizeof to);
  return true;
}

bool SeizedThread::read_filters(std::vector<SeccompProgram>& to) const {
  for (std::size_t i = 0; i < most_filters; i++) {
    const long length = ptrace(PTRACE_SECCOMP_GET_FILTER, tid_, as_pointer(i), nullptr);
    if (length < 0) return errno == ENOENT && i != 0;  // there are no more
    SeccompProgram program(static_cast<std::size_t>(length));
    if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid_, as_pointer(i), program.data()) != length) return false;
    to.push_back(std::move(program));
  }
  return false;
}

}  // namespace waitprobe
