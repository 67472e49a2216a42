// SPDX-License-Identifier: MIT
//
// Guards in signal handlers.
#include <gtest/gtest.h>

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "src/runtime/blocks.h"
#include "src/runtime/probes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/recorder.h"

namespace {

waitprobe_handle in_handler = WAITPROBE_HANDLE("signal.handler");
waitprobe_handle in_thread = WAITPROBE_HANDLE("signal.thread");
std::atomic<int> handled{0};
std::atomic<int> refused{0};

void handler(int) {
  waitprobe_wait* wait = waitprobe_start(&in_handler);
  handled++;
  if (wait == nullptr) refused++;
  waitprobe_stop(wait);
}

}  // namespace

TEST(Signals, that_interrupt_a_start_are_counted_as_reentered_and_break_nothing) {
  test::Recorder& recorder = test::Recorder::follow("signal.");
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  waitprobe_stop(waitprobe_start(&in_handler));
  const std::uint64_t reentered = test::arena().lost_reentered;

  // The storm: one thread sends, this one waits, until enough handlers have hit the middle of a start.
  std::atomic<bool> done{false};
  const pthread_t self = pthread_self();
  std::thread sender([&] {
    while (!done) {
      const int seen = handled;
      pthread_kill(self, SIGUSR1);
      while (handled == seen && !done) std::this_thread::yield();
    }
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  int waits = 0;
  while (refused < 23 && std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 1000; i++, waits++) {
      waitprobe_wait* wait = waitprobe_start(&in_thread);
      ASSERT_NE(wait, nullptr);
      waitprobe_stop(wait);
    }
  }
  done = true;
  sender.join();
  signal(SIGUSR1, SIG_IGN);

  EXPECT_GE(refused, 23) << "of " << handled << " signals";
  EXPECT_EQ(test::arena().lost_reentered - reentered, static_cast<std::uint64_t>(refused));
  EXPECT_TRUE(recorder.of("signal.thread").saw(waits));
  EXPECT_TRUE(recorder.of("signal.handler").saw(1 + handled - refused)) << "every wait that was not counted as lost";
  EXPECT_EQ(test::open_slots(), 0);
}

// Where these were counted as having found no memory, in the root, nobody saw them of a process that had ended.
TEST(Signals, that_interrupt_the_first_start_of_a_process_are_counted_as_reentered) {
  ASSERT_EQ(waitprobe_root.arena, 0U) << "nothing has waited here yet";
  __atomic_store_n(&waitprobe_root.armed.self, 1, __ATOMIC_RELAXED);
  {
    const waitprobe::detail::NoReentry section;
    ASSERT_TRUE(section.entered());
    waitprobe_stop(waitprobe_start(&in_handler));
  }
  waitprobe_stop(waitprobe_start(&in_thread));
  EXPECT_EQ(test::arena().lost_reentered, 1U);
  EXPECT_EQ(waitprobe_root.lost_memory, 0U);
}
