// SPDX-License-Identifier: MIT
//
// Sixteen threads make the same and different counters while backends register.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "src/runtime/counter.h"
#include "src/runtime/probes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/recorder.h"

using test::Recorder;
using waitprobe::WaitCounterHandle;

namespace {

constexpr int thread_cnt = 16;
constexpr int key_cnt = 23;

// Runs body(0) ... body(n - 1) in threads of their own, which all begin at once.
template <typename Body>
void at_once(int n, Body body) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < n; i++) {
    threads.emplace_back([&, i] {
      ready++;
      while (ready < n) std::this_thread::yield();
      body(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::string key_of(int i) { return "threads.key." + std::to_string(i); }

}  // namespace

TEST(Threads, that_make_counters_while_backends_register_lose_no_wait) {
  Recorder& first = Recorder::follow("threads.");
  std::vector<Recorder*> late(8, nullptr);
  at_once(thread_cnt + 1, [&](int me) {
    if (me == thread_cnt) {
      for (Recorder*& recorder : late) recorder = &Recorder::follow("threads.");
      return;
    }
    for (int i = 0; i < 7 * key_cnt; i++) {
      WaitCounterHandle shared{key_of(i % key_cnt)};
      auto guard = shared.start();
      WaitCounterHandle own{"threads.own." + std::to_string(me) + "." + std::to_string(i)};
      own.start().stop();
    }
  });
  for (int i = 0; i < key_cnt; i++) {
    EXPECT_TRUE(first.of(key_of(i)).saw(7 * thread_cnt)) << key_of(i);
    EXPECT_EQ(first.of(key_of(i)).created, 1);
    for (Recorder* recorder : late) {
      test::Tally& tally = recorder->of(key_of(i));
      EXPECT_LE(tally.created, 1);
      EXPECT_TRUE(tally.saw(tally.starts)) << "each start it saw has its stop, with its context";
      EXPECT_LE(tally.starts, 7 * thread_cnt);
    }
  }
  for (int me = 0; me < thread_cnt; me++) {
    for (int i = 0; i < 7 * key_cnt; i++) {
      EXPECT_TRUE(first.of("threads.own." + std::to_string(me) + "." + std::to_string(i)).saw(1));
    }
  }
}

TEST(Threads, that_ask_for_one_new_key_at_once_get_one_counter) {
  for (int round = 0; round < 50; round++) {
    const std::string key = "one.counter." + std::to_string(round);
    std::vector<waitprobe::detail::Counter*> found(thread_cnt);
    at_once(thread_cnt, [&](int me) { found[static_cast<std::size_t>(me)] = waitprobe::detail::find_counter(key); });
    EXPECT_EQ(std::set(found.begin(), found.end()).size(), 1U);
    EXPECT_NE(found[0], nullptr);
  }
}

TEST(Threads, get_wait_ids_that_are_unique_in_the_process) {
  test::arm();
  constexpr int waits = 1000;
  std::vector<std::vector<std::uint64_t>> ids(thread_cnt);
  at_once(thread_cnt, [&](int me) {
    static waitprobe_handle handle = WAITPROBE_HANDLE("threads.ids");
    for (int i = 0; i < waits; i++) {
      waitprobe_wait* wait = waitprobe_start(&handle);
      ids[static_cast<std::size_t>(me)].push_back(test::slot_of(wait)->wait_id);
      waitprobe_stop(wait);
    }
  });
  std::set<std::uint64_t> all;
  for (const auto& of_thread : ids) all.insert(of_thread.begin(), of_thread.end());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(thread_cnt * waits));
  EXPECT_EQ(all.count(0), 0U);
}
