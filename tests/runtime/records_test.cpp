// SPDX-License-Identifier: MIT
//
// Records: what a wait leaves in its thread's block while somebody listens to batches.
#include <gtest/gtest.h>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/child.h"
#include "tests/runtime/recorder.h"

using test::arm_batches;
using test::has_own_ring;
using waitprobe::detail::ClockPair;
using waitprobe::detail::clocks_agree;
using waitprobe::detail::cycles;
using waitprobe::detail::monotonic_ns;

namespace {

waitprobe_handle handle = WAITPROBE_HANDLE("records.wait");

void wait_once() { waitprobe_stop(waitprobe_start(&handle)); }

const wp_block& home() { return test::home(handle); }

const wp_record& last_record(const wp_block& block) {
  return reinterpret_cast<const wp_record*>(block.ring)[(block.written - 1) % block.ring_records];
}

const wp_block& become_busy() { return test::become_busy(handle); }

void spin_ns(std::uint64_t ns) {
  for (const std::uint64_t end = monotonic_ns() + ns; monotonic_ns() < end;) {
  }
}

double ns_per_tick() {
  const std::uint64_t ns = monotonic_ns(), ticks = cycles();
  spin_ns(300'000'000);
  return static_cast<double>(monotonic_ns() - ns) / static_cast<double>(cycles() - ticks);
}

}  // namespace

TEST(Records, say_counter_duration_and_stop) {
  arm_batches(WP_CLOCK_MONOTONIC);
  const wp_block& block = home();
  const std::uint64_t before = monotonic_ns(), written = block.written;
  waitprobe_wait* wait = waitprobe_start(&handle);
  spin_ns(1'000'000);
  waitprobe_stop(wait);
  const std::uint64_t after = monotonic_ns();
  ASSERT_EQ(block.written, written + 1);
  const wp_record& record = last_record(block);
  const auto* counter = waitprobe::detail::Counter::from_ref(record.counter);
  EXPECT_EQ(counter->name(), "records.wait");
  EXPECT_EQ(record.counter & WP_REF_CYCLES, 0U);
  EXPECT_EQ(record.counter >> WP_REF_ID_SHIFT, counter->abi.id);
  EXPECT_GE(record.duration, 1'000'000U);
  EXPECT_GE(record.stop, before + record.duration);
  EXPECT_LE(record.stop, after);
}

TEST(Records, are_written_only_while_batches_are_listened_to) {
  test::arm();
  const wp_block& block = home();
  EXPECT_EQ(block.written, 0U);
  arm_batches(WP_CLOCK_MONOTONIC);
  wait_once();
  EXPECT_EQ(block.written, 1U);
}

TEST(Records, of_a_full_ring_are_handed_over) {
  arm_batches(WP_CLOCK_MONOTONIC);
  const wp_block& block = home();
  while (block.written < WP_RING_RECORDS - 1) wait_once();
  EXPECT_EQ(block.flushed, 0U);
  wait_once();
  EXPECT_EQ(block.flushed, std::uint64_t{WP_RING_RECORDS});
  wait_once();
  EXPECT_EQ(block.written, WP_RING_RECORDS + 1U);
  EXPECT_EQ(block.flushed, std::uint64_t{WP_RING_RECORDS});
}

TEST(Records, of_a_busy_thread_go_to_a_long_ring) {
  arm_batches(WP_CLOCK_MONOTONIC);
  const wp_block& block = home();
  for (int ring = 0; ring < 3; ring++) {
    for (std::uint64_t i = 0; i < WP_RING_RECORDS; i++) wait_once();
  }
  EXPECT_TRUE(has_own_ring(block)) << "three are not enough";
  become_busy();
  EXPECT_EQ(block.ring_records, WP_LONG_RING_RECORDS);
  EXPECT_FALSE(has_own_ring(block));
  const std::uint64_t flushed = block.flushed;
  while (block.written < flushed + WP_LONG_RING_RECORDS - 1) wait_once();
  EXPECT_EQ(block.flushed, flushed);
  EXPECT_EQ(waitprobe::detail::Counter::from_ref(last_record(block).counter)->name(), "records.wait");
  wait_once();
  EXPECT_EQ(block.flushed, flushed + WP_LONG_RING_RECORDS);
}

TEST(Records, are_in_short_rings_while_nobody_is_attached_to_batches) {
  test::Recorder::follow("records.wait");  // a backend: records are kept, and handed over to nobody
  arm_batches(WP_CLOCK_MONOTONIC);
  home();
  __atomic_store_n(&waitprobe_root.armed.batch, std::uint16_t{0}, __ATOMIC_RELEASE);
  EXPECT_TRUE(has_own_ring(become_busy()));
}

TEST(Records, are_in_a_long_ring_only_as_long_as_its_thread_lives) {
  arm_batches(WP_CLOCK_MONOTONIC);
  home();
  const wp_block* block = nullptr;
  std::thread([&] {
    block = &become_busy();
    EXPECT_EQ(test::arena().long_rings, 1U);
    wait_once();
  }).join();
  EXPECT_EQ(block->flushed, block->written);
  EXPECT_TRUE(has_own_ring(*block));
  EXPECT_EQ(test::arena().long_rings, 0U);
}

// More than were prepared, and more than there are.
TEST(Records, of_busy_threads_are_in_rings_that_are_all_different) {
  constexpr std::size_t threads = 70, long_rings = 64;
  arm_batches(WP_CLOCK_MONOTONIC);
  home();
  std::latch busy(threads);
  std::vector<std::thread> all;
  std::mutex mutex;
  std::set<std::uint64_t> rings;
  for (std::size_t i = 0; i < threads; i++) {
    all.emplace_back([&] {
      const wp_block& block = become_busy();
      busy.arrive_and_wait();
      const std::lock_guard lock(mutex);
      if (!has_own_ring(block)) rings.insert(block.ring);
    });
  }
  for (std::thread& thread : all) thread.join();
  EXPECT_EQ(rings.size(), long_rings);
  EXPECT_EQ(test::arena().long_rings, 0U);
}

TEST(Records, are_in_a_short_ring_again_in_the_child_of_a_fork) {
  arm_batches(WP_CLOCK_MONOTONIC);
  become_busy();
  EXPECT_TRUE(test::holds_in_child([] {
    CHILD_EXPECT(has_own_ring(home()));
    CHILD_EXPECT(test::arena().long_rings == 0);
    CHILD_EXPECT(!has_own_ring(become_busy()));
    return true;
  }));
  EXPECT_FALSE(has_own_ring(home()));
}

TEST(Records, go_to_the_thread_that_ends_the_wait) {
  arm_batches(WP_CLOCK_MONOTONIC);
  const wp_block& mine = home();
  const std::uint64_t written = mine.written;
  waitprobe_wait* wait = waitprobe_start(&handle);
  std::thread([&] {
    const wp_block& other = home();
    waitprobe_stop(wait);
    EXPECT_EQ(other.written, 2U);
  }).join();
  EXPECT_EQ(mine.written, written);
  EXPECT_EQ(test::open_slots(), 0);
}

TEST(Records, of_a_thread_that_only_ends_waits_have_a_block_too) {
  arm_batches(WP_CLOCK_MONOTONIC);
  home();
  const int blocks = test::blocks_ever_used();
  waitprobe_wait* wait = waitprobe_start(&handle);
  std::thread([&] { waitprobe_stop(wait); }).join();
  EXPECT_EQ(test::blocks_ever_used(), blocks + 1);
  test::each_block([](const wp_block& block) { EXPECT_LE(block.flushed, block.written); });
}

TEST(Records, are_handed_over_when_their_thread_ends_and_go_on_in_the_next) {
  arm_batches(WP_CLOCK_MONOTONIC);
  home();
  const wp_block* block = nullptr;
  std::thread([&] { block = &home(); }).join();
  EXPECT_EQ(block->written, 1U);
  EXPECT_EQ(block->flushed, 1U);
  EXPECT_EQ(block->owner_tid, 0U);
  std::thread([&] {
    ASSERT_EQ(&home(), block);
    EXPECT_EQ(block->written, 2U);
  }).join();
  EXPECT_EQ(block->flushed, 2U);
}

// The library's own pthread key is not the last: this one's destructor runs again after it.
TEST(Records, of_waits_after_the_thread_gave_its_block_back_are_handed_over_at_once) {
  arm_batches(WP_CLOCK_MONOTONIC);
  home();
  static pthread_key_t key;
  static int rounds;
  ASSERT_EQ(pthread_key_create(&key,
                               [](void*) {
                                 wait_once();
                                 if (++rounds < 3) pthread_setspecific(key, &rounds);
                               }),
            0);
  std::thread([] {
    wait_once();
    pthread_setspecific(key, &rounds);
  }).join();
  EXPECT_EQ(rounds, 3);
  std::uint64_t written = 0;
  test::each_block([&](const wp_block& block) {
    written += block.written;
    EXPECT_TRUE(block.owner_tid != 0 || block.flushed == block.written);
  });
  EXPECT_EQ(written, 5U) << "one of each thread, three of its end";
  EXPECT_EQ(test::arena().lost_late, 0U);
}

TEST(Records, begin_anew_in_the_child_of_a_fork) {
  arm_batches(WP_CLOCK_MONOTONIC);
  wait_once();
  wait_once();
  EXPECT_TRUE(test::holds_in_child([] {
    const wp_block& block = home();
    CHILD_EXPECT(block.written == 1);
    CHILD_EXPECT(block.incarnation == test::arena().incarnation);
    return true;
  }));
  EXPECT_EQ(home().written, 3U);
}

TEST(Records, of_waits_that_others_are_told_of_at_once_are_in_nanoseconds) {
  test::Tally& tally = test::Recorder::follow("records.wait").of("records.wait");
  arm_batches(WP_CLOCK_CYCLES);
  const wp_block& block = home();
  wait_once();
  EXPECT_EQ(last_record(block).counter & WP_REF_CYCLES, 0U);
  EXPECT_TRUE(tally.saw(2));
}

TEST(Cycles, agree_with_the_clock) {
  arm_batches(WP_CLOCK_CYCLES);
  const wp_block& block = home();
  const double rate = ns_per_tick();
  const auto measured = [&](std::uint64_t ns) {
    waitprobe_wait* wait = waitprobe_start(&handle);
    const std::uint64_t from = monotonic_ns();
    spin_ns(ns);
    const std::uint64_t to = monotonic_ns();
    waitprobe_stop(wait);
    EXPECT_NE(last_record(block).counter & WP_REF_CYCLES, 0U);
    return static_cast<double>(last_record(block).duration) * rate - static_cast<double>(to - from);
  };
  EXPECT_NEAR(measured(1'000'000'000), 0, 1e6) << "0.1 % of a second";
  // The guard stands around the two readings of the clock, and interruptions make it longer still: the best of many counts, and
  // what is left of it when nothing stands between the readings.
  const auto best = [&](std::uint64_t ns) {
    double least = 1e9;
    for (int i = 0; i < 1000; i++) {
      const double error = measured(ns);
      EXPECT_GT(error, -100) << "shorter than the clock says";
      least = std::min(least, error);
    }
    return least;
  };
  EXPECT_NEAR(best(1'000), best(0), 100);
}

TEST(Cycles, never_go_backwards_when_the_thread_changes_its_cpu) {
  arm_batches(WP_CLOCK_CYCLES);
  const wp_block& block = home();
  const std::uint64_t clamped = test::arena().clamped_cnt;
  std::uint64_t zero = 0;
  for (int i = 0; i < 2000; i++) {
    waitprobe_wait* wait = waitprobe_start(&handle);
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(i % 2, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);  // where there is one CPU, nothing moves
    waitprobe_stop(wait);
    EXPECT_LT(last_record(block).duration, 1'000'000'000'000U);
    zero += last_record(block).duration == 0;
  }
  EXPECT_GE(zero, test::arena().clamped_cnt - clamped);
}

TEST(Cycles, that_go_backwards_are_clamped_and_counted) {
  arm_batches(WP_CLOCK_CYCLES);
  const wp_block& block = home();
  const std::uint64_t clamped = test::arena().clamped_cnt;
  waitprobe_wait* wait = waitprobe_start(&handle);
  const_cast<wp_open_wait*>(test::slot_of(wait))->start = cycles() + 1'000'000'000'000;
  waitprobe_stop(wait);
  EXPECT_EQ(last_record(block).duration, 0U);
  EXPECT_EQ(test::arena().clamped_cnt, clamped + 1);
}

TEST(Clocks, disagree_beyond_a_thousandth) {
  constexpr std::uint64_t s = 1'000'000'000;
  const auto at = [](std::uint64_t ticks, std::uint64_t ns, std::uint64_t width = 100) { return ClockPair{ticks, ns, width}; };
  EXPECT_TRUE(clocks_agree(at(0, 0), at(2 * s, s), at(4 * s, 2 * s)));
  EXPECT_TRUE(clocks_agree(at(0, 0), at(2 * s, s), at(4 * s + s / 600, 2 * s))) << "0.08 %";
  EXPECT_FALSE(clocks_agree(at(0, 0), at(2 * s, s), at(4 * s + s / 400, 2 * s))) << "0.125 % faster";
  EXPECT_FALSE(clocks_agree(at(0, 0), at(2 * s, s), at(4 * s - s / 400, 2 * s))) << "0.125 % slower";
  EXPECT_TRUE(clocks_agree(at(0, 0), at(2 * s, s), at(3 * s, s + s / 2))) << "too close to tell";
  EXPECT_TRUE(clocks_agree(at(0, 0), at(2 * s, s), at(4 * s + s / 400, 2 * s, s / 1000))) << "interrupted while it was read";
}

// Its clock may be that of another time namespace.
TEST(Clocks, of_a_forked_child_are_compared_anew) {
  constexpr std::uint64_t s = 1'000'000'000, parent = 1, child = 2;
  const auto at = [](std::uint64_t seconds, std::uint64_t ahead) {
    return ClockPair{2 * s * seconds, s * (seconds + ahead), 100};
  };
  for (const std::uint64_t ahead : {1000ULL, 0ULL, -900ULL}) {
    waitprobe::detail::ClockHistory history;
    for (std::uint64_t second = 1000; second < 1003; second++) EXPECT_TRUE(history.add(parent, at(second, 0)));
    EXPECT_FALSE(history.is_due(parent, at(1002, 0).ns));
    EXPECT_TRUE(history.is_due(child, at(1002, ahead).ns)) << "also where that is long before";
    for (std::uint64_t second = 1004; second < 1007; second++) EXPECT_TRUE(history.add(child, at(second, ahead)));
    EXPECT_FALSE(history.add(child, at(1007, ahead + 1))) << "it still finds what it is there for";
  }
}

// docs/design.md says so: two pages for a thread, and one for the arena.
TEST(Memory, of_a_thread_is_two_pages) {
  arm_batches(WP_CLOCK_MONOTONIC);
  wait_once();
  constexpr int thread_cnt = 40;
  std::atomic<int> standing{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_cnt; i++) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; k++) wait_once();
      standing++;
      while (!done) std::this_thread::yield();
    });
  }
  while (standing != thread_cnt) std::this_thread::yield();
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::size_t resident = 0;
  for (unsigned i = 0; i < WP_CHUNKS && waitprobe_root.chunks[i] != 0; i++) {
    const std::size_t bytes = (std::size_t{WP_FIRST_CHUNK_BLOCKS} << i) * sizeof(wp_block);
    std::vector<unsigned char> pages(bytes / page);
    ASSERT_EQ(mincore(reinterpret_cast<void*>(waitprobe_root.chunks[i]), bytes, pages.data()), 0);
    for (const unsigned char in_memory : pages) resident += (in_memory & 1) * page;
  }
  EXPECT_LE(resident, (thread_cnt + 1) * sizeof(wp_block));
  EXPECT_GE(resident, thread_cnt * sizeof(wp_block));
  done = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(Memory, of_a_key_is_less_than_a_hundred_bytes_and_the_key) { EXPECT_LE(sizeof(waitprobe::detail::Counter), 80U); }
