// SPDX-License-Identifier: MIT
//
// Children: a wait that was open across a fork ends in the parent only, and the child is a new incarnation that starts empty.
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "src/runtime/probes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/child.h"
#include "tests/runtime/recorder.h"

using test::holds_in_child;
using test::Recorder;
using test::Tally;

namespace {

std::uint64_t incarnation() {
  const auto* arena = reinterpret_cast<const wp_arena*>(waitprobe_root.arena);
  return arena != nullptr ? arena->incarnation : 0;
}

waitprobe_handle handle = WAITPROBE_HANDLE("fork.wait");

void wait_once() { waitprobe_stop(waitprobe_start(&handle)); }

}  // namespace

TEST(Fork, gives_the_child_an_incarnation_of_its_own) {
  test::arm();
  wait_once();
  const std::uint64_t parent = incarnation();
  ASSERT_NE(parent, 0U);
  EXPECT_TRUE(holds_in_child([&] {
    CHILD_EXPECT(incarnation() == 0);
    wait_once();
    CHILD_EXPECT(incarnation() != 0 && incarnation() != parent);
    return true;
  }));
  EXPECT_EQ(incarnation(), parent);
}

TEST(Fork, leaves_an_open_wait_to_the_parent) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  std::optional<waitprobe::WaitCounterHandle::WaitGuard> guard(STATIC_WAIT_COUNTER(fork.wait).start());
  EXPECT_TRUE(holds_in_child([&] {
    CHILD_EXPECT(test::open_slots() == 0);
    guard.reset();
    CHILD_EXPECT(tally.starts == 1 && tally.stops == 0);
    return true;
  }));
  EXPECT_EQ(tally.open_now(), 1);
  guard.reset();
  EXPECT_TRUE(tally.saw(1));
}

TEST(Fork, keeps_the_parent_s_guard_from_ending_a_wait_of_the_child_in_the_same_slot) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  waitprobe_wait* of_parent = waitprobe_start(&handle);
  EXPECT_TRUE(holds_in_child([&] {
    waitprobe_wait* of_child = waitprobe_start(&handle);
    CHILD_EXPECT(test::slot_of(of_child) == test::slot_of(of_parent));
    waitprobe_stop(of_parent);
    CHILD_EXPECT(tally.stops == 0);
    waitprobe_stop(of_child);
    CHILD_EXPECT(tally.stops == 1 && tally.wrong == 0);
    // And the grandchild, whose parent is the child, ends neither.
    of_child = waitprobe_start(&handle);
    CHILD_EXPECT(holds_in_child([&] {
      waitprobe_wait* own = waitprobe_start(&handle);
      waitprobe_stop(of_parent);
      waitprobe_stop(of_child);
      CHILD_EXPECT(tally.stops == 1);
      waitprobe_stop(own);
      return tally.stops == 2;
    }));
    waitprobe_stop(of_child);
    return tally.stops == 2;
  }));
  waitprobe_stop(of_parent);
  EXPECT_TRUE(tally.saw(1));
}

TEST(Fork, keeps_backends_and_counters_for_the_child) {
  Recorder& recorder = Recorder::follow("fork.");
  wait_once();
  EXPECT_TRUE(holds_in_child([&] {
    for (int i = 0; i < 7; i++) wait_once();
    CHILD_EXPECT(recorder.of("fork.wait").saw(8) && recorder.of("fork.wait").created == 1);
    STATIC_WAIT_COUNTER(fork.new_key).start().stop();
    CHILD_EXPECT(recorder.of("fork.new_key").saw(1));

    return true;
  }));
  EXPECT_TRUE(recorder.of("fork.wait").saw(1));
}

TEST(Fork, does_not_let_the_child_s_threads_share_a_block) {
  test::arm();
  wait_once();  // this thread has a block, whose memory the child will give to whoever comes first
  EXPECT_TRUE(holds_in_child([] {
    const wp_block* of_thread = nullptr;
    std::promise<void> started, done;
    std::thread thread([&] {
      waitprobe_wait* wait = waitprobe_start(&handle);
      of_thread = test::block_of(wait);
      started.set_value();
      done.get_future().wait();
      waitprobe_stop(wait);
    });
    started.get_future().wait();
    waitprobe_wait* wait = waitprobe_start(&handle);
    const wp_block* own = test::block_of(wait);
    waitprobe_stop(wait);
    done.set_value();
    thread.join();
    CHILD_EXPECT(own != of_thread);
    CHILD_EXPECT(own->owner_tid == static_cast<std::uint32_t>(gettid()));
    return true;
  }));
}

TEST(Fork, of_a_thread_that_has_waited_gives_a_child_that_takes_more_slots_than_a_block_has) {
  Recorder::follow("fork.wait");
  wait_once();  // its block is the first, which is also the first that the child takes
  EXPECT_TRUE(holds_in_child([&] {
    std::vector<waitprobe_wait*> open;
    for (int k = 0; k < 3 * WP_BLOCK_SLOTS; k++) open.push_back(waitprobe_start(&handle));
    CHILD_EXPECT(test::open_slots() == 3 * WP_BLOCK_SLOTS);
    for (waitprobe_wait* wait : open) waitprobe_stop(wait);
    CHILD_EXPECT(test::open_slots() == 0);
    return true;
  }));
}

TEST(Fork, while_other_threads_start_waits_gives_a_child_that_works) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  std::atomic<bool> done{false};
  std::atomic<int> waits{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      while (!done) {
        wait_once();
        waits++;
      }
    });
  }
  while (waits < 100) std::this_thread::yield();
  for (int i = 0; i < 50; i++) {
    EXPECT_TRUE(holds_in_child([&] {
      CHILD_EXPECT(test::open_slots() == 0);
      const int starts = tally.starts;
      const int stops = tally.stops;
      std::vector<waitprobe_wait*> open;
      for (int k = 0; k < 2 * WP_BLOCK_SLOTS; k++) open.push_back(waitprobe_start(&handle));
      CHILD_EXPECT(test::open_slots() == 2 * WP_BLOCK_SLOTS);
      for (waitprobe_wait* wait : open) waitprobe_stop(wait);
      CHILD_EXPECT(tally.starts == starts + 2 * WP_BLOCK_SLOTS && tally.stops == stops + 2 * WP_BLOCK_SLOTS);
      CHILD_EXPECT(test::open_slots() == 0);
      return true;
    })) << "child "
        << i;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(tally.saw(waits));
}

TEST(Fork, in_the_middle_of_asking_a_factory_lets_the_child_ask_again) {
  static std::promise<void> inside, forked;
  static std::atomic<bool> in_parent{true};
  Recorder& recorder = Recorder::follow("fork.asking", [](std::string_view) {
    if (!in_parent) return;
    inside.set_value();
    forked.get_future().wait();
  });
  std::thread asker([] { STATIC_WAIT_COUNTER(fork.asking).start().stop(); });
  inside.get_future().wait();
  Tally& tally = recorder.of("fork.asking");
  EXPECT_TRUE(holds_in_child([&] {
    in_parent = false;
    STATIC_WAIT_COUNTER(fork.asking).start().stop();
    CHILD_EXPECT(tally.saw(1));
    return true;
  }));
  forked.set_value();
  asker.join();
  EXPECT_TRUE(tally.saw(1));
  EXPECT_EQ(tally.created, 1);
}

TEST(Fork, through_the_bare_system_call_is_a_fork_too) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  waitprobe_wait* of_parent = waitprobe_start(&handle);
  const std::uint64_t parent = incarnation();
  const auto in_child = [&] {
    wait_once();
    CHILD_EXPECT(incarnation() != parent);
    waitprobe_stop(of_parent);
    return tally.starts == 2 && tally.stops == 1;
  };
  const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (child == 0) _exit(in_child() ? 0 : 1);
  EXPECT_TRUE(test::succeeded(child));
  waitprobe_stop(of_parent);
  EXPECT_TRUE(tally.saw(1));
}

namespace {

// In a child that shares the parent's memory.
int wait_in_shared_memory(void*) {
  for (int i = 0; i < 7; i++) wait_once();
  return 0;
}

}  // namespace

TEST(Vfork, child_on_a_stack_of_its_own_waits_for_its_parent_s_counters) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  waitprobe_wait* open = waitprobe_start(&handle);
  const std::uint64_t parent = incarnation();
  std::vector<char> stack(1 << 20);
  const pid_t child = clone(wait_in_shared_memory, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  EXPECT_TRUE(test::succeeded(child));
  EXPECT_EQ(incarnation(), parent);
  EXPECT_EQ(tally.starts, 8);
  EXPECT_EQ(tally.stops, 7);
  waitprobe_stop(open);
  EXPECT_TRUE(tally.saw(8));
  EXPECT_EQ(test::open_slots(), 0);
}

TEST(Vfork, child_may_be_the_first_of_its_thread_to_wait) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  std::thread([&] {
    std::vector<char> stack(1 << 20);
    EXPECT_TRUE(
        test::succeeded(clone(wait_in_shared_memory, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr)));
    wait_once();
  }).join();
  EXPECT_TRUE(tally.saw(8));
  const int used = test::blocks_ever_used();
  std::thread(wait_once).join();
  EXPECT_EQ(test::blocks_ever_used(), used) << "the block went with the thread";
}

#ifndef __SANITIZE_THREAD__  // which turns vfork into fork
TEST(Vfork, itself_ends_with_all_waits_of_the_child_in_the_parent) {
  Tally& tally = Recorder::follow("fork.wait").of("fork.wait");
  const pid_t child = vfork();
  if (child == 0) {
    wait_once();
    _exit(0);
  }
  EXPECT_TRUE(test::succeeded(child));
  wait_once();
  EXPECT_TRUE(tally.saw(2));
}
#endif
