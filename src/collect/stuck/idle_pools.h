// SPDX-License-Identifier: MIT
//
// Which open waits look like those of a pool of workers that nobody has given work yet, though the program does not say so. A
// thread for each request that hangs at once on a lock must not: so what cannot be known is not taken for idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

namespace waitprobe {

// What is known of an open wait and its thread. Ages are at one moment, by the same clock.
struct ThreadInWait {
  std::uint32_t pid = 0;
  std::uint64_t root_address = 0;  // of the instance of the library
  std::uint64_t counter = 0;       // address
  std::uint32_t tid = 0;           // 0: not known, or it has ended
  bool is_only_wait = false;       // neither the thread, nor any that had its block before, has begun or ended another one
  bool may_await_work = false;     // by the system call that the thread sleeps in
  std::uint64_t age_ns = 0;
  std::uint64_t thread_age_ns = 0;
  std::uint64_t process_age_ns = 0;

  auto counter_id() const { return std::tuple(pid, root_address, counter); }
};

// For each of the waits, whether it is of such a pool: two threads or more that began to wait for the same at about the same time,
// each as soon as it began, and began with their process; and nobody else waits for it. REQUIRES: these are all open waits of the
// counters that they are of.
std::vector<bool> are_in_idle_pools(const std::vector<ThreadInWait>& waits);

}  // namespace waitprobe
