// SPDX-License-Identifier: MIT
#include "src/collect/stuck/lock_holders.h"

#include <linux/futex.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

// glibc's pthread_mutex_t, on machines of 64 bits.
struct GlibcMutex {
  std::uint32_t lock;
  std::uint32_t count;
  std::uint32_t owner;
  std::uint32_t user_cnt;
  std::uint32_t kind;
  std::uint32_t spins;
  std::uint64_t list[2];  // of robust ones, which have their owner in `lock`
};
static_assert(sizeof(GlibcMutex) == 40);
constexpr std::uint32_t contended = 2;  // what `lock` is while somebody waits
// A type (0 to 3), shared by processes or not, and what was decided of lock elision.
constexpr std::uint32_t known_kinds = 3 | 128 | 256 | 512;

bool is_wait(std::uint32_t operation) { return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET; }

// Other locks have the value 2 as well, and may have anything behind it: so all that is known of a mutex must be true of it.
std::uint32_t owner_in_mutex(const Memory& memory, std::uint64_t address) {
  GlibcMutex mutex = {};
  if (!memory.read(address, &mutex, sizeof mutex)) return 0;
  const bool is_one = mutex.lock == contended && mutex.user_cnt != 0 && (mutex.kind & ~known_kinds) == 0 &&
                      mutex.list[0] == 0 && mutex.list[1] == 0;
  return is_one && (mutex.owner & ~FUTEX_TID_MASK) == 0 ? mutex.owner : 0;
}

std::uint32_t owner_in_word(const Memory& memory, std::uint64_t address) {
  std::uint32_t word = 0;
  return memory.read(address, &word, sizeof word) ? word & FUTEX_TID_MASK : 0;
}

// As the kernel has it of those with priority inheritance, or as robust mutexes have it and those of musl; of musl, that of a normal
// mutex is EBUSY.
MutexOwner owner_in_memory(const Memory& memory, const FutexWait& futex) {
  if (futex.operation == FUTEX_LOCK_PI || futex.operation == FUTEX_LOCK_PI2) return {owner_in_word(memory, futex.address)};
  if (!is_wait(futex.operation)) return {};
  if (futex.value == contended) return {owner_in_mutex(memory, futex.address)};
  const std::uint32_t owner = futex.value & FUTEX_TID_MASK;
  if ((futex.value & FUTEX_WAITERS) == 0 || owner == EBUSY || owner_in_word(memory, futex.address) != owner) return {};
  return {owner, false};
}

constexpr std::size_t most_holders = 16;

// Those of the holders that wait for each other: each for the next one, and the last for the first. `tid` waits for the first.
std::vector<LockHolder> circle_of(std::uint32_t tid, const std::vector<LockHolder>& holders) {
  if (holders.empty()) return {};
  const std::uint32_t last = holders.back().tid;
  const auto begin = std::find_if(holders.begin(), holders.end(), [&](const LockHolder& one) { return one.tid == last; });
  if (tid == last) return holders;
  return begin + 1 != holders.end() ? std::vector<LockHolder>(begin + 1, holders.end()) : std::vector<LockHolder>();
}

}  // namespace

std::optional<MutexOwner> owner_of_mutex(const Memory& memory, const FutexWait& futex) {
  const MutexOwner owner = owner_in_memory(memory, futex);
  return owner.tid != 0 ? std::optional(owner) : std::nullopt;
}

// The state first: what sleeps then, and has not been switched out since the look before, has slept since before that one.
std::optional<std::uint64_t> LivingThreads::sleep_of(std::uint32_t tid) const {
  const auto stat = stat_of(tid);
  return stat && stat->state == 'S' ? switches_of(pid_, tid) : std::nullopt;
}

std::optional<LockHolder> LockHolders::describe(MutexOwner owner, std::optional<FutexWait>& sleeps_for) const {
  LockHolder holder;
  const auto number = numbers_.find(owner.tid);
  const auto info = number != numbers_.end() ? threads_.info(number->second) : std::nullopt;
  if (!info) {
    holder.tid = owner.tid;
    holder.has_ended = true;
    sleeps_for.reset();
    return owner.is_sure ? std::optional(std::move(holder)) : std::nullopt;
  }
  holder.tid = number->second;
  holder.thread = info->name;
  holder.state = info->state;
  holder.wchan = info->wchan;
  holder.system_call = info->system_call;
  sleeps_for = info->futex;
  name_key_(holder);
  return holder;
}

std::vector<LockHolder> LockHolders::holders_of(std::uint32_t tid, std::optional<FutexWait> sleeps_for) const {
  std::vector<LockHolder> holders;
  std::set<std::uint32_t> known = {tid};
  while (sleeps_for && holders.size() < most_holders) {
    const auto owner = owner_of_mutex(memory_, *sleeps_for);
    auto holder = owner ? describe(*owner, sleeps_for) : std::nullopt;
    if (!holder) break;
    holders.push_back(std::move(*holder));
    if (!holders.back().has_ended && !known.insert(holders.back().tid).second) break;
  }
  return holders;
}

// Nothing when the thread sleeps for no mutex.
std::optional<std::uint32_t> LockHolders::holder_of(const ThreadInfo& info) const {
  const auto owner = info.futex ? owner_of_mutex(memory_, *info.futex) : std::nullopt;
  const auto number = owner ? numbers_.find(owner->tid) : numbers_.end();
  return number != numbers_.end() ? std::optional(number->second) : std::nullopt;
}

// All of them have slept since before the first of them was asked for its holder, and until the last was: so all that they said is
// true of one moment.
std::optional<OpenWaits::Deadlock> LockHolders::deadlock_of(std::vector<LockHolder> circle) const {
  OpenWaits::Deadlock deadlock;
  std::vector<std::optional<std::uint64_t>> sleeps;
  for (const LockHolder& holder : circle) sleeps.push_back(threads_.sleep_of(holder.tid));
  for (std::size_t i = 0; i < circle.size(); i++) {
    const auto info = threads_.info(circle[i].tid);
    if (!info || holder_of(*info) != circle[(i + 1) % circle.size()].tid) return std::nullopt;
    deadlock.is_timed |= info->futex->is_timed;
  }
  for (std::size_t i = 0; i < circle.size(); i++) {
    if (!sleeps[i] || threads_.sleep_of(circle[i].tid) != sleeps[i]) return std::nullopt;
  }
  deadlock.threads = std::move(circle);
  return deadlock;
}

void LockHolders::add_to(OpenWait& wait, const std::optional<FutexWait>& sleeps_for, OpenWaits& to) const {
  wait.holders = holders_of(wait.tid, sleeps_for);
  auto circle = circle_of(wait.tid, wait.holders);
  if (circle.empty() || to.is_in_deadlock(wait.pid, circle.front().tid)) return;
  auto deadlock = deadlock_of(std::move(circle));
  if (!deadlock) return;
  deadlock->process = {wait.pid, wait.comm};
  to.deadlocks.push_back(std::move(*deadlock));
}

}  // namespace waitprobe
