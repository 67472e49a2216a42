// SPDX-License-Identifier: MIT
//
// Backends and factories: what they see, when they are asked, and what they may do.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>
#include <vector>

#include "tests/runtime/recorder.h"

using test::Recorder;
using test::Tally;
using waitprobe::WaitCounterHandle;

TEST(Backend, each_gets_back_the_context_that_its_own_start_returned) {
  // More than fit into an open wait, so that the rest of the contexts is used too; each follows at another offset.
  std::vector<Tally*> tallies;
  for (int i = 0; i < 7; i++) {
    Recorder& recorder = Recorder::follow("backend.many");
    tallies.push_back(&recorder.of("backend.many"));
    tallies.back()->next = static_cast<std::uint32_t>(100 * i);
  }
  for (int i = 0; i < 23; i++) {
    auto outer = STATIC_WAIT_COUNTER(backend.many).start();
    auto inner = STATIC_WAIT_COUNTER(backend.many).start();
    outer.stop();
  }
  for (const Tally* tally : tallies) EXPECT_TRUE(tally->saw(46));
}

TEST(Backend, hundreds_of_them_are_all_seen) {
  std::vector<Tally*> tallies;
  for (int i = 0; i < 600; i++) {
    tallies.push_back(&Recorder::follow("backend.hundreds").of("backend.hundreds"));
    if (i % 100 == 0) STATIC_WAIT_COUNTER(backend.hundreds).start().stop();
  }
  STATIC_WAIT_COUNTER(backend.hundreds).start().stop();
  for (int i = 0; i < 600; i++) EXPECT_TRUE(tallies[static_cast<std::size_t>(i)]->saw(7 - (i + 99) / 100)) << i;
}

TEST(Backend, registered_late_is_seen_by_an_existing_counter_from_its_next_start) {
  Tally& early = Recorder::follow("backend.late").of("backend.late");
  STATIC_WAIT_COUNTER(backend.late).start().stop();
  auto open = STATIC_WAIT_COUNTER(backend.late).start();
  Tally& late = Recorder::follow("backend.late").of("backend.late");
  EXPECT_EQ(late.starts, 0);
  STATIC_WAIT_COUNTER(backend.late).start().stop();
  EXPECT_TRUE(late.saw(1));
  open.stop();  // late is in the counter's list by now, but has not seen this wait begin
  EXPECT_TRUE(late.saw(1));
  EXPECT_TRUE(early.saw(3));
}

TEST(Backend, gets_the_time_of_the_steady_clock) {
  using Clock = std::chrono::steady_clock;
  struct Times {
    Clock::time_point start, stop;
  };
  static Times times;
  struct Backend : waitprobe::detail::WaitCounterBackendIf {
    std::intptr_t start(Clock::time_point now) noexcept override { return times.start = now, 0; }
    void stop(Clock::time_point now, std::intptr_t) noexcept override { times.stop = now; }
  };
  struct Factory : waitprobe::detail::WaitCounterBackendFactoryIf {
    std::unique_ptr<waitprobe::detail::WaitCounterBackendIf> create(std::string_view key) noexcept override {
      return key == "backend.clock" ? std::make_unique<Backend>() : nullptr;
    }
  };
  waitprobe::detail::registerWaitCounterBackend(std::make_unique<Factory>());
  const auto before = Clock::now();
  auto guard = STATIC_WAIT_COUNTER(backend.clock).start();
  const auto between = Clock::now();
  guard.stop();
  const auto after = Clock::now();
  EXPECT_TRUE(before <= times.start && times.start <= between && between <= times.stop && times.stop <= after);
}

TEST(Factory, may_return_null_and_is_not_asked_again) {
  struct Refuser : waitprobe::detail::WaitCounterBackendFactoryIf {
    explicit Refuser(std::atomic<int>& asked) : asked_(asked) {}
    std::unique_ptr<waitprobe::detail::WaitCounterBackendIf> create(std::string_view key) noexcept override {
      if (key == "factory.null") asked_++;
      return nullptr;
    }
    std::atomic<int>& asked_;
  };
  static std::atomic<int> asked{0};
  Tally& before = Recorder::follow("factory.null").of("factory.null");
  waitprobe::detail::registerWaitCounterBackend(std::make_unique<Refuser>(asked));
  Tally& behind = Recorder::follow("factory.null").of("factory.null");
  for (int i = 0; i < 7; i++) STATIC_WAIT_COUNTER(factory.null).start().stop();
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(before.saw(7));
  EXPECT_TRUE(behind.saw(7)) << "a factory that refuses must not hide those behind it";
}

TEST(Factory, that_is_null_itself_is_not_registered) {
  const auto before = waitprobe::detail::getRegisteredWaitCounterBackends().size();
  waitprobe::detail::registerWaitCounterBackend(nullptr);
  EXPECT_EQ(waitprobe::detail::getRegisteredWaitCounterBackends().size(), before);
}

TEST(Factory, is_listed_in_the_order_of_registration) {
  struct Nothing : waitprobe::detail::WaitCounterBackendFactoryIf {
    std::unique_ptr<waitprobe::detail::WaitCounterBackendIf> create(std::string_view) noexcept override { return nullptr; }
  };
  std::vector<const void*> expected;
  for (const auto& factory : waitprobe::detail::getRegisteredWaitCounterBackends()) expected.push_back(factory.get());
  for (int i = 0; i < 3; i++) {
    auto factory = std::make_unique<Nothing>();
    expected.push_back(factory.get());
    waitprobe::detail::registerWaitCounterBackend(std::move(factory));
  }
  std::vector<const void*> listed;
  for (const auto& factory : waitprobe::detail::getRegisteredWaitCounterBackends()) listed.push_back(factory.get());
  EXPECT_EQ(listed, expected);
}

TEST(Factory, may_use_guards_of_the_same_key_and_of_others) {
  Recorder& recorder = Recorder::follow("factory.guards", [](std::string_view key) {
    WaitCounterHandle same{key};
    same.start().stop();
    STATIC_WAIT_COUNTER(factory.guards.inner).start().stop();
  });
  STATIC_WAIT_COUNTER(factory.guards.outer).start().stop();
  EXPECT_EQ(recorder.of("factory.guards.outer").created, 1);
  EXPECT_TRUE(recorder.of("factory.guards.outer").saw(1)) << "the guard inside found no backend yet";
  EXPECT_EQ(recorder.of("factory.guards.inner").created, 1);
  EXPECT_TRUE(recorder.of("factory.guards.inner").saw(1));
}

TEST(Factory, may_register_another_factory) {
  static Recorder* second = nullptr;
  Recorder::follow("factory.registers", [](std::string_view) { second = &Recorder::follow("factory.registers"); });
  STATIC_WAIT_COUNTER(factory.registers).start().stop();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->of("factory.registers").saw(1)) << "it was there before the wait began";
}

TEST(Factory, may_take_a_lock_that_a_waiting_thread_holds) {
  static std::mutex lock;
  static std::promise<void> asked;
  Recorder& recorder = Recorder::follow("factory.lock", [](std::string_view) {
    asked.set_value();
    const std::lock_guard<std::mutex> locked(lock);
  });
  std::unique_lock<std::mutex> locked(lock);
  std::thread asker([] { STATIC_WAIT_COUNTER(factory.lock).start().stop(); });
  asked.get_future().wait();
  STATIC_WAIT_COUNTER(factory.lock).start().stop();  // the asker needs our lock: this must not wait for it for ever
  locked.unlock();
  asker.join();
  STATIC_WAIT_COUNTER(factory.lock).start().stop();
  EXPECT_EQ(recorder.of("factory.lock").created, 1);
  EXPECT_TRUE(recorder.of("factory.lock").saw(2));
}

TEST(Factory, that_waits_in_two_threads_for_each_other_s_keys_does_not_stall) {
  static std::atomic<int> inside{0};
  Recorder& recorder = Recorder::follow("factory.crossed", [](std::string_view key) {
    inside++;
    while (inside % 2 != 0) std::this_thread::yield();
    std::string other(key);
    other.back() = other.back() == 'a' ? 'b' : 'a';
    WaitCounterHandle{other}.start().stop();
  });
  // A stall takes 100 ms in every round, a busy machine only in some.
  auto fastest = std::chrono::steady_clock::duration::max();
  for (int round = 0; round < 7; round++) {
    const std::string key = "factory.crossed." + std::to_string(round);
    const auto before = std::chrono::steady_clock::now();
    std::thread a([&] { WaitCounterHandle{key + 'a'}.start().stop(); });
    std::thread b([&] { WaitCounterHandle{key + 'b'}.start().stop(); });
    a.join();
    b.join();
    fastest = std::min(fastest, std::chrono::steady_clock::now() - before);
    EXPECT_EQ(recorder.of(key + 'a').created, 1);
    EXPECT_EQ(recorder.of(key + 'b').created, 1);
  }
  EXPECT_LT(fastest, std::chrono::milliseconds(90));
}

TEST(Factory, is_waited_for_by_other_threads_so_that_no_wait_is_missed) {
  using std::chrono::milliseconds, std::chrono::steady_clock;
  for (int i = 0; i < 50; i++) {
    const std::string key = "factory.slow." + std::to_string(i);
    Recorder& recorder = Recorder::follow(key, [](std::string_view) {
      const auto until = steady_clock::now() + milliseconds(5);
      while (steady_clock::now() < until) std::this_thread::yield();
    });
    const auto begin = steady_clock::now();
    waitprobe::WaitCounterHandle handle(key);
    std::vector<std::thread> threads;
    for (int j = 0; j < 8; j++) threads.emplace_back([&] { handle.start().stop(); });
    for (std::thread& thread : threads) thread.join();
    if (steady_clock::now() - begin > milliseconds(90)) continue;  // they wait for 100 ms at most, and this machine is slow
    EXPECT_TRUE(recorder.of(key).saw(8));
    return;
  }
  GTEST_SKIP() << "eight threads took more than 90 ms, fifty times";
}
