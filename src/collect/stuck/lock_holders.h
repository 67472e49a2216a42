// SPDX-License-Identifier: MIT
//
// Who holds the mutexes that threads wait for. The mutex itself says so: glibc's keeps the number of its owner, and those with
// priority inheritance, robust ones and musl's have it in the word that is waited for. Nobody is stopped, so each answer is of
// its own moment; what is called a deadlock was seen twice, with all its threads asleep in between.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "src/collect/process/process_memory.h"
#include "src/collect/process/thread_info.h"
#include "src/model/open_wait.h"

namespace waitprobe {

struct MutexOwner {
  std::uint32_t tid = 0;  // as its process calls it
  bool is_sure = true;    // otherwise only if there is such a thread
};

// The owner of the mutex that a thread sleeps for. Nothing when it sleeps for something else, or for a lock that does not name its
// owner (a read-write lock, a mutex of Rust or Go).
std::optional<MutexOwner> owner_of_mutex(const Memory& memory, const FutexWait& futex);

// What is known of the threads of a process, by our numbers.
class LockThreads {
 public:
  virtual ~LockThreads() = default;

  // Nothing when there is no such thread, or it has ended.
  virtual std::optional<ThreadInfo> info(std::uint32_t tid) const = 0;

  // A number that is the same at two moments only if the thread has slept in between. Nothing when it does not sleep.
  virtual std::optional<std::uint64_t> sleep_of(std::uint32_t tid) const = 0;
};

// Those of a living process.
class LivingThreads : public LockThreads {
 public:
  explicit LivingThreads(std::uint32_t pid) : pid_(pid) {}
  std::optional<ThreadInfo> info(std::uint32_t tid) const override { return thread_info(pid_, tid); }
  std::optional<std::uint64_t> sleep_of(std::uint32_t tid) const override;

 private:
  std::uint32_t pid_;
};

// Threads: one at a time.
class LockHolders {
 public:
  // `numbers`: what the process calls its threads, and what we call them. `name_key` fills in what a holder is inside of. All of
  // them must outlive this.
  LockHolders(const Memory& memory, const LockThreads& threads, const std::map<std::uint32_t, std::uint32_t>& numbers,
              std::function<void(LockHolder&)> name_key)
      : memory_(memory), threads_(threads), numbers_(numbers), name_key_(std::move(name_key)) {}

  // Fills in who holds what the thread of a wait sleeps for, and the deadlock that it is in, or waits for, unless that is there
  // already. Of a process that lies, whatever it likes.
  void add_to(OpenWait& wait, const std::optional<FutexWait>& sleeps_for, OpenWaits& to) const;

 private:
  std::vector<LockHolder> holders_of(std::uint32_t tid, std::optional<FutexWait> sleeps_for) const;
  std::optional<LockHolder> describe(MutexOwner owner, std::optional<FutexWait>& sleeps_for) const;
  std::optional<std::uint32_t> holder_of(const ThreadInfo& info) const;
  std::optional<OpenWaits::Deadlock> deadlock_of(std::vector<LockHolder> circle) const;

  const Memory& memory_;
  const LockThreads& threads_;
  const std::map<std::uint32_t, std::uint32_t>& numbers_;
  std::function<void(LockHolder&)> name_key_;
};

}  // namespace waitprobe
