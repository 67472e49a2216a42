// SPDX-License-Identifier: MIT
//
// Who holds the mutex that a thread sleeps for, and whether threads wait for each other.
#include "src/collect/stuck/lock_holders.h"

#include <gtest/gtest.h>
#include <linux/futex.h>

#include <array>
#include <cerrno>
#include <map>

#include "tests/unit/fake_memory.h"

namespace waitprobe {
namespace {

using Words = std::array<std::uint32_t, 10>;  // of a mutex of glibc: lock, count, owner, users, kind, spins, list

constexpr std::uint64_t mutex_at = 0x10000, page = 0x1000;
constexpr FutexWait plain{mutex_at, FUTEX_WAIT, 2};

std::optional<std::uint32_t> owner(Words words, const FutexWait& futex) {
  test::FakeMemory memory;
  memory.map(mutex_at, words.data(), sizeof words);
  const auto found = owner_of_mutex(memory, futex);
  return found ? std::optional(found->tid) : std::nullopt;
}

TEST(OwnerOfMutex, StandsBehindItsWord) {
  EXPECT_EQ(owner({2, 0, 77, 1, 0}, plain), 77U);
  EXPECT_EQ(owner({2, 3, 77, 9, 1 | 128}, {mutex_at, FUTEX_WAIT_BITSET, 2}), 77U) << "recursive and shared";
}

TEST(OwnerOfMutex, IsNobodyWhereItIsNoneThatWeKnow) {
  EXPECT_EQ(owner({1, 0, 77, 1, 0}, plain), std::nullopt) << "nobody waits any more";
  EXPECT_EQ(owner({2, 0, 0, 1, 0}, plain), std::nullopt);
  EXPECT_EQ(owner({2, 0, 77, 0, 0}, plain), std::nullopt) << "a mutex that is locked has a user";
  EXPECT_EQ(owner({2, 0, 77, 1, 0x400}, plain), std::nullopt);
  EXPECT_EQ(owner({2, 0, 77, 1, 16}, plain), std::nullopt) << "a robust one has no such value";
  EXPECT_EQ(owner({2, 0, 77, 1, 0, 0, 0, 0, 1}, plain), std::nullopt) << "is in no list";
  EXPECT_EQ(owner({2, 0, 0x40000077, 1, 0}, plain), std::nullopt) << "not the number of a thread";
  EXPECT_EQ(owner({2, 0, 77, 1, 0}, {mutex_at, FUTEX_WAIT, 3}), std::nullopt);
  EXPECT_EQ(owner({2, 0, 77, 1, 0}, {mutex_at, FUTEX_WAIT_REQUEUE_PI, 2}), std::nullopt);
  EXPECT_EQ(owner({2, 0, 77, 1, 0}, {mutex_at + page, FUTEX_WAIT, 2}), std::nullopt) << "not to be read";
}

TEST(OwnerOfMutex, IsInTheWordOfThoseThatTheKernelKnows) {
  const std::uint32_t word = FUTEX_WAITERS | 77;
  EXPECT_EQ(owner({word}, {mutex_at, FUTEX_LOCK_PI, 0}), 77U);
  EXPECT_EQ(owner({word}, {mutex_at, FUTEX_LOCK_PI2, 0}), 77U);
  EXPECT_EQ(owner({word}, {mutex_at, FUTEX_WAIT, word}), 77U) << "a robust one";
  EXPECT_EQ(owner({word}, {mutex_at, FUTEX_WAIT, FUTEX_WAITERS}), std::nullopt) << "its owner has died";
  EXPECT_EQ(owner({word}, {mutex_at, FUTEX_WAIT, word + 1}), std::nullopt) << "another one by now";
  EXPECT_EQ(owner({FUTEX_WAITERS | EBUSY}, {mutex_at, FUTEX_WAIT, FUTEX_WAITERS | EBUSY}), std::nullopt)
      << "a normal one of musl";
}

// Thread i + 1 of a process sleeps for mutex i; who holds that can be chosen.
class Deadlocks : public testing::Test, public LockThreads {
 protected:
  static constexpr std::uint32_t threads = 40;

  Deadlocks() {
    for (std::uint32_t i = 0; i < threads; i++) numbers_[i + 1] = i + 1 + 1000;  // as in a pid namespace
    memory_.map(mutex_at, mutexes_.data(), sizeof mutexes_);
  }

  void hold(std::uint32_t mutex, std::uint32_t by) { mutexes_[mutex] = {2, 0, by, 1, 0}; }

  std::optional<ThreadInfo> info(std::uint32_t tid) const override {
    looks_++;
    ThreadInfo info;
    info.futex = FutexWait{mutex_at + (tid - 1001) * sizeof(Words), FUTEX_WAIT, 2};
    return info;
  }

  std::optional<std::uint64_t> sleep_of(std::uint32_t tid) const override {
    if (tid == runs_) return std::nullopt;
    return tid == wakes_ ? looks_ : 0;
  }

  // Of a wait of thread 1.
  OpenWaits found() {
    OpenWaits to;
    OpenWait wait;
    wait.pid = 17;
    wait.tid = 1001;
    const LockHolders locks(memory_, *this, numbers_, [](LockHolder& holder) { holder.key = std::to_string(holder.tid); });
    locks.add_to(wait, info(wait.tid)->futex, to);
    to.waits.push_back(wait);
    return to;
  }

  std::array<Words, threads> mutexes_ = {};
  test::FakeMemory memory_;
  std::map<std::uint32_t, std::uint32_t> numbers_;
  mutable std::uint64_t looks_ = 0;
  std::uint32_t runs_ = 0, wakes_ = 0;
};

TEST_F(Deadlocks, AreThreadsThatWaitForEachOther) {
  hold(0, 2);
  hold(1, 3);
  hold(2, 1);
  const OpenWaits circle = found();
  ASSERT_EQ(circle.deadlocks.size(), 1U);
  const auto& threads_of_it = circle.deadlocks[0].threads;
  ASSERT_EQ(threads_of_it.size(), 3U);
  EXPECT_EQ(threads_of_it[0].tid, 1002U);
  EXPECT_EQ(threads_of_it[2].tid, 1001U);
  EXPECT_EQ(circle.waits[0].holders[1].key, "1003");
}

TEST_F(Deadlocks, MayHaveOthersThatWaitForThem) {
  hold(0, 2);
  hold(1, 3);
  hold(2, 2);
  const OpenWaits circle = found();
  ASSERT_EQ(circle.deadlocks.size(), 1U);
  EXPECT_EQ(circle.deadlocks[0].threads.size(), 2U) << "not the one that asks";
}

TEST_F(Deadlocks, AreNotThoseOfWhichOneHasRunMeanwhile) {
  hold(0, 2);
  hold(1, 1);
  ASSERT_EQ(found().deadlocks.size(), 1U);
  for (const std::uint32_t tid : {1001, 1002}) {
    wakes_ = tid;
    EXPECT_TRUE(found().deadlocks.empty()) << tid;
    wakes_ = 0;
    runs_ = tid;
    EXPECT_TRUE(found().deadlocks.empty()) << tid;
    runs_ = 0;
  }
}

TEST_F(Deadlocks, AreNotChains) {
  hold(0, 2);
  hold(1, 3);
  const OpenWaits chain = found();
  EXPECT_EQ(chain.waits[0].holders.size(), 2U);
  EXPECT_TRUE(chain.deadlocks.empty());
  hold(1, 99);
  EXPECT_TRUE(found().waits[0].holders[1].has_ended);
}

TEST_F(Deadlocks, HaveNoHolderThatOnlyANumberTellsOf) {
  mutexes_[0] = {FUTEX_WAITERS | 99};
  OpenWaits to;
  OpenWait wait;
  wait.tid = 1001;
  const FutexWait futex{mutex_at, FUTEX_WAIT, FUTEX_WAITERS | 99};
  const LockHolders locks(memory_, *this, numbers_, [](LockHolder&) {});
  locks.add_to(wait, futex, to);
  EXPECT_TRUE(wait.holders.empty()) << "it may be no thread's";
  mutexes_[0] = {FUTEX_WAITERS | 2};
  locks.add_to(wait, FutexWait{mutex_at, FUTEX_WAIT, FUTEX_WAITERS | 2}, to);
  EXPECT_EQ(wait.holders.size(), 1U);
}

TEST_F(Deadlocks, AreFollowedForAFewSteps) {
  for (std::uint32_t i = 0; i + 1 < threads; i++) hold(i, i + 2);
  EXPECT_EQ(found().waits[0].holders.size(), 16U);
}

}  // namespace
}  // namespace waitprobe
