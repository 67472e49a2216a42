// SPDX-License-Identifier: MIT
#include "src/collect/stuck/idle_pools.h"

#include <algorithm>
#include <map>
#include <set>

namespace waitprobe {
namespace {

// The kernel tells when threads began in ticks of 10 ms, and a thread may have to wait for a CPU before it waits for work.
constexpr std::uint64_t at_once_ns = 100'000'000;
// From the first thread of a pool to the last. Requests come one by one.
constexpr std::uint64_t together_ns = 200'000'000;
// From the start of a program to that of its pools. Threads that come later are of what it does.
constexpr std::uint64_t start_up_ns = 10'000'000'000;

bool is_as_old_as_its_thread(const ThreadInWait& wait) {
  return wait.tid != 0 && wait.is_only_wait && wait.may_await_work && wait.age_ns + at_once_ns >= wait.thread_age_ns &&
         wait.thread_age_ns + start_up_ns >= wait.process_age_ns;
}

struct Pool {
  bool is_idle = true;
  std::set<std::uint32_t> tids;
  std::uint64_t least_age_ns = UINT64_MAX;
  std::uint64_t greatest_age_ns = 0;

  void add(const ThreadInWait& wait) {
    is_idle &= is_as_old_as_its_thread(wait);
    tids.insert(wait.tid);
    least_age_ns = std::min(least_age_ns, wait.age_ns);
    greatest_age_ns = std::max(greatest_age_ns, wait.age_ns);
  }
};

}  // namespace

std::vector<bool> are_in_idle_pools(const std::vector<ThreadInWait>& waits) {
  using CounterId = decltype(waits.front().counter_id());
  std::map<CounterId, Pool> pools;
  for (const ThreadInWait& wait : waits) pools[wait.counter_id()].add(wait);
  std::vector<bool> idle;
  for (const ThreadInWait& wait : waits) {
    const Pool& pool = pools[wait.counter_id()];
    idle.push_back(pool.is_idle && pool.tids.size() >= 2 && pool.greatest_age_ns - pool.least_age_ns <= together_ns);
  }
  return idle;
}

}  // namespace waitprobe
