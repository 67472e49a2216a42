// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace waitprobe {

// A thread sleeps for a futex.
struct FutexWait {
  std::uint64_t address = 0;
  std::uint32_t operation = 0;  // FUTEX_..., without flags
  std::uint32_t value = 0;
  bool is_timed = false;  // and no longer than it has said
};

// What the kernel says of a thread. What it does not tell is empty or 0.
struct ThreadInfo {
  std::string name;               // any bytes
  char state = 0;                 // R S D T t Z X I
  std::uint64_t start_ticks = 0;  // since boot, in clock ticks of user space
  std::string wchan;              // where in the kernel it sleeps
  std::string system_call;        // which it is in
  std::optional<FutexWait> futex;
  bool may_await_work = false;  // it sleeps in one that threads wait for work in, and not for a lock
};

// What a thread sleeps for by the arguments of its system call `futex`.
FutexWait futex_wait(const std::uint64_t (&arguments)[4]);

// How often the thread has been switched out. Nothing when it has ended.
std::optional<std::uint64_t> switches_of(std::uint32_t pid, std::uint32_t tid);

// Nothing when the thread has ended.
std::optional<ThreadInfo> thread_info(std::uint32_t pid, std::uint32_t tid);

}  // namespace waitprobe
