// SPDX-License-Identifier: MIT
//
// Thread blocks: they come back when their thread ends, and hold any number of open waits.
#include <gtest/gtest.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include "src/runtime/probes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/recorder.h"

using test::block_of;
using test::Recorder;

namespace {

waitprobe_handle handle = WAITPROBE_HANDLE("blocks.wait");

}  // namespace

TEST(Blocks, may_be_prepared_for_more_threads_each_time) {
  for (const std::size_t threads : {0, 64, 2000}) {
    ASSERT_EQ(waitprobe_prepare(threads), 0) << threads;
    std::size_t ready = 0;
    for (unsigned i = 0; i < WP_CHUNKS && waitprobe_root.chunks[i] != 0; i++) ready += std::size_t{WP_FIRST_CHUNK_BLOCKS} << i;
    EXPECT_GE(ready, threads);
  }
}

TEST(Blocks, of_threads_that_have_ended_are_used_again) {
  test::arm();
  const int before = test::blocks_ever_used();
  for (int i = 0; i < 2000; i++) std::thread([] { waitprobe_stop(waitprobe_start(&handle)); }).join();
  EXPECT_LE(test::blocks_ever_used(), before + 1);
  EXPECT_EQ(test::open_slots(), 0);
}

TEST(Blocks, belong_to_their_thread_until_it_ends) {
  test::arm();
  const wp_block* block = nullptr;
  std::thread([&] {
    waitprobe_wait* wait = waitprobe_start(&handle);
    block = block_of(wait);
    EXPECT_EQ(block->owner_tid, static_cast<std::uint32_t>(gettid()));
    waitprobe_stop(wait);
    EXPECT_EQ(block->owner_tid, static_cast<std::uint32_t>(gettid()));
  }).join();
  EXPECT_EQ(block->owner_tid, 0U);
}

TEST(Blocks, with_an_open_wait_are_not_given_to_another_thread) {
  test::arm();
  waitprobe_wait* open = nullptr;
  std::thread([&] { open = waitprobe_start(&handle); }).join();
  std::thread([&] {
    waitprobe_wait* other = waitprobe_start(&handle);
    EXPECT_NE(block_of(other), block_of(open));
    waitprobe_stop(other);
  }).join();
  waitprobe_stop(open);
}

TEST(Blocks, of_one_thread_grow_with_its_open_waits) {
  test::Tally& tally = Recorder::follow("blocks.wait").of("blocks.wait");
  std::thread([&] {
    std::vector<waitprobe_wait*> waits;
    for (int i = 0; i < 23 * WP_BLOCK_SLOTS; i++) waits.push_back(waitprobe_start(&handle));
    EXPECT_EQ(tally.open_now(), 23 * WP_BLOCK_SLOTS);
    EXPECT_EQ(test::open_slots(), 23 * WP_BLOCK_SLOTS);
    for (waitprobe_wait* wait : waits) waitprobe_stop(wait);
  }).join();
  EXPECT_TRUE(tally.saw(23 * WP_BLOCK_SLOTS));
  EXPECT_EQ(test::open_slots(), 0);

  // All of them come back.
  const int used = test::blocks_ever_used();
  std::thread([&] {
    std::vector<waitprobe_wait*> waits;
    for (int i = 0; i < 23 * WP_BLOCK_SLOTS; i++) waits.push_back(waitprobe_start(&handle));
    for (waitprobe_wait* wait : waits) waitprobe_stop(wait);
  }).join();
  EXPECT_EQ(test::blocks_ever_used(), used);
}

TEST(Blocks, taken_in_the_last_round_of_key_destructors_are_given_back) {
  test::arm();
  static pthread_key_t key;
  static std::atomic<int> rounds{0};
  // Waits in every round that there is, so certainly after the library has handed back the blocks of the thread.
  const auto again = [](void* value) {
    rounds++;
    waitprobe_wait* wait = waitprobe_start(&handle);
    EXPECT_NE(wait, nullptr);
    waitprobe_stop(wait);
    pthread_setspecific(key, value);
  };
  ASSERT_EQ(pthread_key_create(&key, again), 0);
  const auto run = [] {
    std::thread([] {
      waitprobe_stop(waitprobe_start(&handle));
      pthread_setspecific(key, &key);
    }).join();
  };
  run();
  EXPECT_GE(rounds, 4);
  const int used = test::blocks_ever_used();
  for (int i = 0; i < 100; i++) run();
  EXPECT_LE(test::blocks_ever_used(), used + 1);
  pthread_key_delete(key);
}

TEST(Blocks, of_a_thousand_threads_at_once_are_all_different) {
  test::arm();
  constexpr int n = 1000;
  std::vector<const wp_block*> blocks(n);
  std::latch all(n);
  std::vector<std::thread> threads;
  for (int i = 0; i < n; i++) {
    threads.emplace_back([&, i] {
      waitprobe_wait* wait = waitprobe_start(&handle);
      blocks[static_cast<std::size_t>(i)] = block_of(wait);
      all.arrive_and_wait();
      waitprobe_stop(wait);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(blocks.begin(), blocks.end());
  EXPECT_EQ(std::unique(blocks.begin(), blocks.end()), blocks.end());
  EXPECT_EQ(test::open_slots(), 0);
}
