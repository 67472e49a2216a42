// SPDX-License-Identifier: MIT
//
// Which open waits are taken for those of workers without work, and above all which are not.
#include "src/collect/stuck/idle_pools.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace waitprobe {
namespace {

constexpr std::uint64_t ms = 1'000'000, second = 1'000 * ms;

// A pool of workers that was started with its process, ten minutes ago.
class IdlePools : public testing::Test {
 protected:
  IdlePools() {
    for (std::uint32_t i = 0; i < 4; i++) {
      const std::uint64_t age_ns = 600 * second - i * ms;
      waits_.push_back({17, 0x1000, 0x2000, 100 + i, true, true, age_ns, age_ns + 9 * ms, 601 * second});
    }
  }

  long idle_cnt() const {
    const auto idle = are_in_idle_pools(waits_);
    return std::count(idle.begin(), idle.end(), true);
  }

  std::vector<ThreadInWait> waits_;
};

TEST_F(IdlePools, AreSeen) {
  EXPECT_EQ(idle_cnt(), 4);
  EXPECT_TRUE(are_in_idle_pools({}).empty());
}

TEST_F(IdlePools, AreApartFromWhatElseIsOpen) {
  ThreadInWait other = waits_[0];
  other.counter = 0x3000;
  other.tid = 99;
  waits_.insert(waits_.begin(), other);
  EXPECT_EQ(are_in_idle_pools(waits_), (std::vector<bool>{false, true, true, true, true}));
  waits_[0].counter = waits_[1].counter;
  waits_[0].pid = 18;
  EXPECT_EQ(are_in_idle_pools(waits_)[0], false) << "the same address in another process";
  waits_[0].pid = 17;
  waits_[0].root_address = 0x9000;
  EXPECT_EQ(are_in_idle_pools(waits_)[0], false) << "or in another instance of the library";
}

TEST_F(IdlePools, OfOneThreadAreNone) {
  waits_.resize(1);
  EXPECT_EQ(idle_cnt(), 0);
  waits_.push_back(waits_[0]);
  EXPECT_EQ(idle_cnt(), 0) << "a thread that waits for the same twice";
}

// What makes each of them another thing than a pool; one is enough.
TEST_F(IdlePools, AreNoneIfOneOfThemIsNotLikeThat) {
  const std::vector<ThreadInWait> pool = waits_;
  const auto but_with = [&](auto change) {
    waits_ = pool;
    change(waits_[2]);
    return idle_cnt();
  };
  EXPECT_EQ(but_with([](ThreadInWait&) {}), 4);
  EXPECT_EQ(but_with([](ThreadInWait& one) { one.tid = 0; }), 0) << "its thread has ended, or is not known";
  EXPECT_EQ(but_with([](ThreadInWait& one) { one.is_only_wait = false; }), 0) << "it has had another wait";
  EXPECT_EQ(but_with([](ThreadInWait& one) { one.may_await_work = false; }), 0) << "it waits for a lock";
  EXPECT_EQ(but_with([](ThreadInWait& one) { one.thread_age_ns += second; }), 0) << "it did something before";
  EXPECT_EQ(but_with([](ThreadInWait& one) { one.age_ns = one.thread_age_ns = 300 * second; }), 0) << "it came later";
  EXPECT_EQ(but_with([](ThreadInWait& one) { one = {one.pid, one.root_address, one.counter}; }), 0) << "nothing is known of it";
}

TEST_F(IdlePools, OfThreadsThatCameLongAfterTheirProcessAreNone) {
  for (ThreadInWait& one : waits_) one.process_age_ns += 60 * second;
  EXPECT_EQ(idle_cnt(), 0) << "these may be requests that came together";
}

}  // namespace
}  // namespace waitprobe
