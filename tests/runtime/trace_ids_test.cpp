// SPDX-License-Identifier: MIT
//
// Trace ids: what a thread says it works for is kept with its waits.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/time.h>

#include <array>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "tests/runtime/blocks.h"
#include "tests/runtime/child.h"

namespace {

using Id = std::array<std::uint8_t, sizeof(wp_trace_id)>;

waitprobe_handle handle = WAITPROBE_HANDLE("trace_ids.wait");

Id id_of(char letter) {
  Id id;
  id.fill(static_cast<std::uint8_t>(letter));
  return id;
}

const Id none = {};

void say(char letter) { waitprobe_set_trace_id(id_of(letter).data()); }

void arm_batches() { test::arm_batches(WP_CLOCK_MONOTONIC); }

void wait_once() { waitprobe_stop(waitprobe_start(&handle)); }

const wp_block& home() { return test::home(handle); }

Id id_at(std::uint64_t address) {
  Id id;
  std::memcpy(id.data(), reinterpret_cast<const void*>(address), sizeof id);
  return id;
}

Id id_of_record(const wp_block& block, std::uint64_t number) {
  if (block.traces == 0) return none;
  return id_at(wp_traces_of_ring(block.traces, block.ring, block.ring_records) + number % block.ring_records * sizeof(Id));
}

Id last_id(const wp_block& block) { return id_of_record(block, block.written - 1); }

Id id_of_open(const waitprobe_wait* wait) {
  const wp_block& block = *test::block_of(wait);
  return block.traces != 0 ? id_at(block.traces + static_cast<std::uint64_t>(test::slot_of(wait) - block.open) * sizeof(Id))
                           : none;
}

}  // namespace

TEST(TraceIds, of_threads_that_say_none_take_no_memory) {
  arm_batches();
  waitprobe_set_trace_id(nullptr);
  waitprobe_set_trace_id(none.data());
  EXPECT_EQ(home().traces, 0U);
}

TEST(TraceIds, are_those_of_the_start_of_a_wait) {
  arm_batches();
  say('a');
  const wp_block& block = home();
  wait_once();
  EXPECT_EQ(last_id(block), id_of('a'));
  waitprobe_wait* wait = waitprobe_start(&handle);
  EXPECT_EQ(id_of_open(wait), id_of('a'));
  say('b');
  wait_once();
  EXPECT_EQ(last_id(block), id_of('b'));
  waitprobe_stop(wait);
  EXPECT_EQ(last_id(block), id_of('a'));
  waitprobe_set_trace_id(nullptr);
  wait_once();
  EXPECT_EQ(last_id(block), none);
}

TEST(TraceIds, said_after_the_first_wait_are_those_of_the_next) {
  arm_batches();
  const wp_block& block = home();
  waitprobe_wait* wait = waitprobe_start(&handle);
  say('a');
  EXPECT_EQ(id_of_open(wait), none);
  waitprobe_stop(wait);
  EXPECT_EQ(last_id(block), none);
  wait_once();
  EXPECT_EQ(last_id(block), id_of('a'));
}

TEST(TraceIds, go_with_a_wait_to_the_thread_that_ends_it) {
  arm_batches();
  say('a');
  waitprobe_wait* const first = waitprobe_start(&handle);
  waitprobe_wait* const second = waitprobe_start(&handle);
  std::thread([&] {
    waitprobe_stop(first);  // before its own first wait
    const wp_block& block = home();
    EXPECT_EQ(last_id(block), none);
    say('b');
    waitprobe_stop(second);
    EXPECT_EQ(last_id(block), id_of('a'));
    wait_once();
    EXPECT_EQ(last_id(block), id_of('b'));
    int cnt = 0;
    for (std::uint64_t n = 0; n < block.written; n++) cnt += id_of_record(block, n) == id_of('a');
    EXPECT_EQ(cnt, 2);
  }).join();
}

TEST(TraceIds, are_kept_by_each_of_many_open_waits) {
  arm_batches();
  const wp_block& block = home();
  std::vector<waitprobe_wait*> waits;
  for (char letter = 'A'; letter < 'A' + 50; letter++) {
    say(letter);
    waits.push_back(waitprobe_start(&handle));
  }
  for (char letter = 'A'; letter < 'A' + 50; letter++) {
    waitprobe_wait* const wait = waits[static_cast<std::size_t>(letter - 'A')];
    EXPECT_EQ(id_of_open(wait), id_of(letter));
    waitprobe_stop(wait);
    EXPECT_EQ(last_id(block), id_of(letter));
  }
}

TEST(TraceIds, are_not_those_of_who_had_the_block_before) {
  arm_batches();
  std::thread([] {
    say('a');
    wait_once();
  }).join();
  std::thread([] {
    const wp_block& block = home();
    EXPECT_NE(block.traces, 0U) << "it is that block";
    wait_once();
    EXPECT_EQ(last_id(block), none);
    EXPECT_EQ(id_of_open(waitprobe_start(&handle)), none);
  }).join();
}

// It has been written by whoever had the ring before, and the block that it now belongs to has none of its own yet.
TEST(TraceIds, are_not_those_of_who_had_the_long_ring_before) {
  arm_batches();
  std::thread([&] {
    say('a');
    test::become_busy(handle);
    for (unsigned i = 0; i < WP_LONG_RING_RECORDS; i++) wait_once();
    EXPECT_EQ(last_id(home()), id_of('a'));
  }).join();
  waitprobe_wait* const kept = waitprobe_start(&handle);  // so that the block is not that one
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; i++) {
    threads.emplace_back([&] {
      test::become_busy(handle);
      for (int k = 0; k < 100; k++) wait_once();
      const wp_block& block = home();
      const std::uint64_t before = block.written;
      say('b');
      wait_once();
      EXPECT_EQ(last_id(block), id_of('b'));
      for (std::uint64_t n = block.flushed; n < before; n++) EXPECT_EQ(id_of_record(block, n), none) << n;
    });
  }
  for (std::thread& thread : threads) thread.join();
  waitprobe_stop(kept);
}

TEST(TraceIds, are_kept_in_the_child_of_a_fork) {
  arm_batches();
  say('a');
  home();
  EXPECT_TRUE(test::holds_in_child([] {
    const wp_block& block = home();
    wait_once();
    CHILD_EXPECT(last_id(block) == id_of('a'));
    say('b');
    wait_once();
    CHILD_EXPECT(last_id(block) == id_of('b'));
    return true;
  }));
}

// A handler says another one and the old one again, wherever it comes: a wait has the one or the other, and no half of each.
TEST(TraceIds, are_never_half_of_what_a_signal_handler_says) {
  arm_batches();
  say('a');
  const wp_block& block = test::become_busy(handle);  // so that the ring is not exchanged before its last record is read
  struct sigaction action = {};
  action.sa_handler = [](int) {
    say('b');
    wait_once();
    say('a');
  };
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
  const itimerval often = {{0, 50}, {0, 50}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  std::set<Id> seen;
  for (int i = 0; i < 20'000; i++) {
    for (int k = 0; k < 10; k++) wait_once();
    seen.insert(last_id(block));
  }
  const itimerval never = {};
  setitimer(ITIMER_REAL, &never, nullptr);
  for (const Id& id : seen) EXPECT_TRUE(id == id_of('a') || id == id_of('b'));
}
