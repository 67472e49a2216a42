// SPDX-License-Identifier: MIT
//
// What the kernel says of a thread that waits: for work, or for something else.
#include "src/collect/process/thread_info.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace waitprobe {
namespace {

// A thread that sleeps until it is let go.
class Sleeper {
 public:
  Sleeper(const std::function<void()>& sleep, const std::function<void()>& wake)
      : wake_(wake), thread_([this, sleep] {
          tid_ = gettid();
          sleep();
        }) {}
  ~Sleeper() {
    wake_();
    thread_.join();
  }

  // Once it sleeps in this system call.
  ThreadInfo info_in(const std::string& call) const {
    for (;;) {
      const auto info = thread_info(static_cast<std::uint32_t>(getpid()), static_cast<std::uint32_t>(tid_.load()));
      if (info && info->state == 'S' && info->system_call == call) return *info;
      std::this_thread::yield();
    }
  }

 private:
  std::function<void()> wake_;
  std::atomic<pid_t> tid_ = 0;
  std::thread thread_;
};

TEST(ThreadInfo, OfOneThatWaitsForAMutexIsNotForWork) {
  std::mutex mutex;
  mutex.lock();
  const Sleeper sleeper([&] { const std::lock_guard lock(mutex); }, [&] { mutex.unlock(); });
  const ThreadInfo info = sleeper.info_in("futex");
  EXPECT_FALSE(info.may_await_work);
  ASSERT_TRUE(info.futex);
  EXPECT_EQ(info.futex->address, reinterpret_cast<std::uint64_t>(mutex.native_handle()));
  EXPECT_EQ(info.futex->value, 2U);
  EXPECT_FALSE(info.futex->is_timed);
}

TEST(ThreadInfo, OfOneThatWaitsForAConditionMayBeForWork) {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_over = false;
  const Sleeper sleeper(
      [&] {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return is_over; });
      },
      [&] {
        {
          const std::lock_guard lock(mutex);
          is_over = true;
        }
        changed.notify_one();
      });
  EXPECT_TRUE(sleeper.info_in("futex").may_await_work);
}

TEST(ThreadInfo, OfOneThatPollsMayBeForWorkAndOfOneThatReadsIsNot) {
  for (const bool polls : {true, false}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    {
      const Sleeper sleeper(
          [&] {
            pollfd one = {ends[0], POLLIN, 0};
            char byte;
            if (polls) {
              poll(&one, 1, -1);
            } else {
              (void)!read(ends[0], &byte, 1);
            }
          },
          [&] { (void)!write(ends[1], "", 1); });
      EXPECT_EQ(sleeper.info_in(polls ? "poll" : "read").may_await_work, polls);
    }
    close(ends[0]);
    close(ends[1]);
  }
}

TEST(ThreadInfo, OfOneThatDoesNotSleepIsNotForWork) {
  const auto info = thread_info(static_cast<std::uint32_t>(getpid()), static_cast<std::uint32_t>(gettid()));
  ASSERT_TRUE(info.has_value());
  EXPECT_FALSE(info->may_await_work);
  EXPECT_FALSE(thread_info(static_cast<std::uint32_t>(getpid()), UINT32_MAX).has_value());
}

}  // namespace
}  // namespace waitprobe
