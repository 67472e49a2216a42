// SPDX-License-Identifier: MIT
#include "src/collect/stuck/unguarded_sleepers.h"

#include <chrono>
#include <thread>

#include "src/collect/machine/clock.h"
#include "src/collect/process/process.h"
#include "src/collect/process/thread_info.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t least_ns = 100'000'000;
constexpr char uninterruptible = 'D';

bool sleeps(std::uint32_t tid) {
  const auto stat = stat_of(tid);
  return stat && stat->state == uninterruptible;
}

void wait_until(std::uint64_t moment_ns) {
  const std::uint64_t now = now_ns();
  if (now < moment_ns) std::this_thread::sleep_for(std::chrono::nanoseconds(moment_ns - now));
}

}  // namespace

UnguardedSleepers::UnguardedSleepers(const std::set<std::uint32_t>& pids) {
  for (const std::uint32_t pid : pids) {
    for (const std::uint32_t tid : thread_numbers(pid)) {
      if (!sleeps(tid)) continue;
      if (const auto switches = switches_of(pid, tid)) seen_.push_back({pid, tid, *switches, now_ns()});
    }
  }
}

std::vector<OpenWaits::Sleeper> UnguardedSleepers::still_asleep(const std::function<bool(std::uint32_t tid)>& has_guard) const {
  std::vector<OpenWaits::Sleeper> found;
  for (const Seen& seen : seen_) {
    if (has_guard(seen.tid)) continue;
    wait_until(seen.at_ns + least_ns);
    const auto info = thread_info(seen.pid, seen.tid);
    if (!info || info->state != uninterruptible || switches_of(seen.pid, seen.tid) != seen.switches) continue;
    found.push_back(
        {{seen.pid, comm_of(seen.pid)}, seen.tid, info->name, info->wchan, info->system_call, now_ns() - seen.at_ns});
  }
  return found;
}

}  // namespace waitprobe
