// SPDX-License-Identifier: MIT
#include "src/cli/memory_reserve.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

namespace waitprobe::cli {
namespace {

// Enough to print what a session has; not touched, it takes no memory but addresses, which are what `ulimit -v` limits.
constexpr std::size_t reserve_bytes = 16 << 20;

std::atomic<void*> reserve = nullptr;
std::atomic<bool> has_run_out = false;

// StopSignals has it, to read it when there is time. Otherwise it would kill.
bool is_stop_signal_taken() {
  sigset_t blocked;
  return sigprocmask(SIG_BLOCK, nullptr, &blocked) == 0 && sigismember(&blocked, SIGTERM) == 1;
}

// Returns when there is more memory to be had.
void use_reserve() {
  has_run_out = true;
  void* const memory = reserve.exchange(nullptr);
  if (memory == nullptr) throw std::bad_alloc();
  munmap(memory, reserve_bytes);
  if (is_stop_signal_taken()) kill(getpid(), SIGTERM);
}

}  // namespace

void keep_memory_back() {
  void* const memory = mmap(nullptr, reserve_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) reserve = memory;
  std::set_new_handler(use_reserve);
}

bool has_run_out_of_memory() { return has_run_out; }

}  // namespace waitprobe::cli
