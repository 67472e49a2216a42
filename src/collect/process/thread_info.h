// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace waitprobe {

// What the kernel says of a thread. What it does not tell is empty or 0.
struct ThreadInfo {
  std::string name;               // any bytes
  char state = 0;                 // R S D T t Z X I
  std::uint64_t start_ticks = 0;  // since boot, in clock ticks of user space
  std::string wchan;              // where in the kernel it sleeps
  std::string system_call;        // which it is in
  bool may_await_work = false;    // it sleeps in one that threads wait for work in, and not for a lock
};

// Nothing when the thread has ended.
std::optional<ThreadInfo> thread_info(std::uint32_t pid, std::uint32_t tid);

}  // namespace waitprobe
