// SPDX-License-Identifier: MIT
//
// The innermost open wait, as the header of a block shows it: after any order of starts and stops, whoever stops.
#include <gtest/gtest.h>

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <iterator>
#include <random>
#include <thread>
#include <vector>

#include <waitprobe/wait_counter.h>

#include "src/runtime/blocks.h"
#include "src/runtime/counter.h"
#include "src/runtime/probes.h"
#include "tests/runtime/abandon.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/child.h"
#include "tests/runtime/inside.h"
#include "tests/runtime/recorder.h"
#include "tests/runtime/suspended.h"

namespace {

waitprobe_handle handles[] = {WAITPROBE_HANDLE("inside.a"), WAITPROBE_HANDLE("inside.b"), WAITPROBE_HANDLE("inside.c"),
                              WAITPROBE_HANDLE("inside.d")};

void arm_batches() { __atomic_store_n(&waitprobe_root.armed.batch, std::uint16_t{1}, __ATOMIC_RELEASE); }

const wp_block& home() {
  waitprobe_stop(waitprobe_start(&handles[0]));
  return *waitprobe::detail::home_block();
}

// A thread that stops what it is given.
class OtherThread {
 public:
  ~OtherThread() {
    done_ = true;
    thread_.join();
  }

  void stop(waitprobe_wait* wait) {
    wait_ = wait;
    while (wait_ != nullptr) std::this_thread::yield();
  }

 private:
  void work() {
    while (!done_) {
      waitprobe_wait* wait = wait_;
      if (wait == nullptr) {
        std::this_thread::yield();
        continue;
      }
      waitprobe_stop(wait);
      wait_ = nullptr;
    }
  }

  std::atomic<waitprobe_wait*> wait_{nullptr};
  std::atomic<bool> done_{false};
  std::thread thread_{[this] { work(); }};
};

// The open waits of this thread in the order of their starts, more than its block has slots.
class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {}

  void step() {
    const auto choice = random_() % 100;
    if (open_.empty() || (choice < 52 && open_.size() < WP_BLOCK_SLOTS + 10)) {
      open_.push_back(waitprobe_start(&handles[random_() % std::size(handles)]));
      return;
    }
    const auto at = random_() % 3 != 0 ? open_.size() - 1 : random_() % open_.size();
    if (random_() % 50 == 0) {
      other_.stop(open_[at]);
    } else {
      waitprobe_stop(open_[at]);
    }
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void finish() {
    for (waitprobe_wait* wait : open_) waitprobe_stop(wait);
    open_.clear();
  }

  // Those in the block, the innermost one first.
  std::vector<std::uint64_t> of(const wp_block& block) const {
    std::vector<std::uint64_t> waits;
    for (const waitprobe_wait* wait : open_) {
      const wp_open_wait* slot = test::slot_of(wait);
      if (slot >= block.open && slot < block.open + WP_BLOCK_SLOTS) waits.insert(waits.begin(), slot->wait_id);
    }
    return waits;
  }

 private:
  std::mt19937 random_;
  std::vector<waitprobe_wait*> open_;
  OtherThread other_;
};

void expect_model_holds(unsigned seed, int steps) {
  const wp_block& block = home();
  Model model(seed);
  for (int i = 0; i < steps; i++) {
    model.step();
    const std::vector<std::uint64_t> wanted = model.of(block);
    std::vector<std::uint64_t> listed = test::listed_waits(block);
    std::erase(listed, 0);
    ASSERT_EQ(listed, wanted) << "after step " << i;
    ASSERT_EQ(test::innermost_wait(block), wanted.empty() ? 0 : wanted.front()) << "after step " << i;
    test::expect_whole_list(block);
    ASSERT_FALSE(testing::Test::HasFailure()) << "after step " << i;
  }
  model.finish();
  EXPECT_EQ(test::open_slots(), 0);
  EXPECT_EQ(test::innermost_wait(block), 0U);
}

}  // namespace

TEST(Inside, is_the_wait_that_began_last_whatever_ends_in_between) {
  arm_batches();
  expect_model_holds(1, 300'000);
}

// The slow path of a start.
TEST(Inside, is_the_wait_that_began_last_when_backends_are_told) {
  test::Recorder::follow("inside.");
  expect_model_holds(2, 100'000);
}

TEST(Inside, is_the_wait_that_began_last_when_a_process_tracks_itself) {
  __atomic_store_n(&waitprobe_root.armed.self, 1, __ATOMIC_RELAXED);
  expect_model_holds(3, 100'000);
}

TEST(Inside, is_known_to_the_child_of_a_fork_from_its_first_wait) {
  arm_batches();
  const wp_block& block = home();
  waitprobe_wait* of_parent = waitprobe_start(&handles[1]);
  EXPECT_TRUE(test::holds_in_child([&] {
    CHILD_EXPECT(test::innermost_wait(block) == 0);
    waitprobe_stop(of_parent);
    waitprobe_wait* outer = waitprobe_start(&handles[0]);
    const wp_block& own = *waitprobe::detail::home_block();
    waitprobe_wait* inner = waitprobe_start(&handles[1]);
    CHILD_EXPECT(test::innermost_wait(own) == test::slot_of(inner)->wait_id);
    waitprobe_stop(inner);
    CHILD_EXPECT(test::innermost_wait(own) == test::slot_of(outer)->wait_id);
    waitprobe_stop(outer);
    CHILD_EXPECT(test::innermost_wait(own) == 0 && own.inside.depth == 0);
    return true;
  }));
  EXPECT_EQ(test::innermost_wait(block), test::slot_of(of_parent)->wait_id);
  waitprobe_stop(of_parent);
  test::expect_whole_list(block);
}

TEST(Inside, is_nothing_in_a_block_whose_thread_has_ended_or_has_just_begun) {
  arm_batches();
  home();
  const wp_block* block = nullptr;
  std::vector<waitprobe_wait*> left;
  std::thread([&] {
    block = &home();
    for (waitprobe_handle& handle : handles) left.push_back(waitprobe_start(&handle));
    EXPECT_NE(test::innermost_wait(*block), 0U);
  }).join();
  EXPECT_EQ(test::read_inside(*block).counter, 0U);
  EXPECT_EQ(test::innermost_wait(*block), 0U);
  for (waitprobe_wait* wait : left) waitprobe_stop(wait);
  EXPECT_EQ(test::read_inside(*block).elsewhere, left.size());
  std::thread([&] {
    ASSERT_EQ(&home(), block);
    EXPECT_EQ(test::read_inside(*block).elsewhere, 0U);
    test::expect_whole_list(*block);
  }).join();
}

// Their time outside of a CPU is not that of this thread.
TEST(Inside, is_not_what_a_record_is_of_that_another_thread_has_written) {
  arm_batches();
  const wp_block& mine = home();
  const auto ended_elsewhere = [](const wp_block& block) {
    const auto* records = reinterpret_cast<const wp_record*>(block.ring);
    const wp_record& last = records[(block.written - 1) % block.ring_records];
    EXPECT_EQ(waitprobe::detail::Counter::from_ref(last.counter)->name(), "inside.a");
    return (last.counter & WP_REF_ELSEWHERE) != 0;
  };
  EXPECT_FALSE(ended_elsewhere(mine));
  std::vector<waitprobe_wait*> waits;
  for (int i = 0; i < 2 * WP_BLOCK_SLOTS; i++) waits.push_back(waitprobe_start(&handles[0]));
  ASSERT_NE(test::block_of(waits.back()), &mine);
  waitprobe_stop(waits.back());
  EXPECT_FALSE(ended_elsewhere(mine)) << "the block is not this thread's first one, but its own";
  waits.pop_back();
  std::thread([&] {
    for (waitprobe_wait* wait : {waits.front(), waits.back()}) {
      const wp_block& other = home();
      EXPECT_FALSE(ended_elsewhere(other));
      waitprobe_stop(wait);
      EXPECT_TRUE(ended_elsewhere(other));
    }
  }).join();
  for (std::size_t i = 1; i + 1 < waits.size(); i++) waitprobe_stop(waits[i]);
  EXPECT_EQ(test::open_slots(), 0);

  waitprobe_wait* left = nullptr;
  std::thread([&] { left = waitprobe_start(&handles[0]); }).join();
  waitprobe_stop(left);
  EXPECT_TRUE(ended_elsewhere(mine)) << "its thread has ended";
}

TEST(Inside, of_waits_that_longjmp_leaves_behind_stays_a_list) {
  arm_batches();
  const wp_block& block = home();
  for (int i = 0; i < 20'000; i++) {
    test::wait_around([] { test::leave_behind(0); });
    if (i % 10 == 0) test::leave_behind(i * 7919 % 200);
    if (i % 100 == 0) test::expect_whole_list(block);
    ASSERT_FALSE(HasFailure()) << "after round " << i;
  }
}

TEST(Inside, of_suspects_that_are_taken_back_stays_a_list) {
  arm_batches();
  const wp_block& block = home();
  for (const long fibres : {6'000L, 1'000L}) {
    test::run_fibres(fibres, [] { test::wait_around(test::leave_fibre); });
    EXPECT_EQ(test::innermost_wait(block), 0U);
    test::expect_whole_list(block);
  }
}

#ifndef __SANITIZE_THREAD__  // which puts signals off until they cannot interrupt anything
namespace {

// Waits that handlers and what they interrupt begin and end for each other.
std::array<std::atomic<waitprobe_wait*>, 12> shared_waits;
std::atomic<int> handled{0};
std::atomic<bool> may_jump{false};
sigjmp_buf jump_target;

void begin_or_end(unsigned random) {
  std::atomic<waitprobe_wait*>& place = shared_waits[random % shared_waits.size()];
  if (waitprobe_wait* wait = place.exchange(nullptr)) return waitprobe_stop(wait);
  waitprobe_wait* before = place.exchange(waitprobe_start(&handles[random % std::size(handles)]));
  if (before != nullptr) waitprobe_stop(before);
}

void handle_signal(int) {
  static unsigned random = 1;
  random = random * 1'664'525 + 1'013'904'223;
  handled++;
  for (unsigned i = random >> 30; i != 0; i--) begin_or_end(random >> (4 * i));
  if (may_jump.exchange(false)) siglongjmp(jump_target, 1);
}

// Sends signals to the thread that made it, one after the other.
class Storm {
 public:
  ~Storm() {
    done_ = true;
    sender_.join();
    signal(SIGUSR1, SIG_IGN);
  }

 private:
  static bool handle_signals() {
    struct sigaction action = {};
    action.sa_handler = handle_signal;
    return sigaction(SIGUSR1, &action, nullptr) == 0;
  }

  void send() const {
    while (!done_) {
      const int seen = handled;
      pthread_kill(target_, SIGUSR1);
      while (handled == seen && !done_) std::this_thread::yield();
    }
  }

  const bool is_handled_ = handle_signals();
  const pthread_t target_ = pthread_self();
  std::atomic<bool> done_{false};
  std::thread sender_{[this] { send(); }};
};

class BlockedSignals {
 public:
  BlockedSignals() { change(SIG_BLOCK); }
  ~BlockedSignals() { change(SIG_UNBLOCK); }

 private:
  static void change(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, nullptr);
  }
};

}  // namespace

TEST(Inside, is_a_whole_list_between_signals_whose_handlers_begin_and_end_waits) {
  arm_batches();
  const wp_block& block = home();
  {
    const Storm storm;
    std::mt19937 random(4);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (test::arena().lost_reentered < 30 && std::chrono::steady_clock::now() < deadline) {
      for (int i = 0; i < 100; i++) begin_or_end(static_cast<unsigned>(random()));
      const BlockedSignals blocked;
      test::expect_whole_list(block);
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GE(test::arena().lost_reentered, 30U) << "of " << handled << " signals";
  for (auto& wait : shared_waits) waitprobe_stop(wait.exchange(nullptr));
  EXPECT_EQ(test::open_slots(), 0);
  EXPECT_EQ(test::innermost_wait(block), 0U);
  EXPECT_EQ(block.inside.depth, 0U);
}

// What the handler leaves may be open for ever. The list has an end all the same, and shows what is open.
TEST(Inside, has_an_end_after_handlers_have_jumped_out_of_the_library) {
  arm_batches();
  const wp_block& block = home();
  std::atomic<int> jumps{0};
  {
    const Storm storm;
    std::mt19937 random(5);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (jumps < 2'000 && std::chrono::steady_clock::now() < deadline) {
      if (sigsetjmp(jump_target, 1) != 0) {
        jumps++;
        const BlockedSignals blocked;
        const std::vector<std::uint64_t> listed = test::listed_waits(block);
        ASSERT_LE(listed.size(), WP_BLOCK_SLOTS) << "after jump " << jumps;
        for (std::uint8_t at = block.inside.innermost; at != 0; at = block.open[at - 1].outer & WP_OUTER_PLACE) {
          ASSERT_NE(block.open[at - 1].outer & WP_OUTER_LINKED, 0U) << "after jump " << jumps;
        }
      }
      may_jump = true;
      for (int i = 0; i < 1000 && may_jump; i++) begin_or_end(static_cast<unsigned>(random()));
    }
    may_jump = false;
  }
  waitprobe::detail::this_thread.inside = 0;
  waitprobe_wait* wait = waitprobe_start(&handles[0]);
  if (waitprobe::detail::block_of(test::slot_of(wait)) == &block) {
    EXPECT_EQ(test::innermost_wait(block), test::slot_of(wait)->wait_id);
  }
  waitprobe_stop(wait);
}
#endif
