// SPDX-License-Identifier: MIT
#include "src/serve/worker_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace waitprobe {
namespace {

TEST(WorkerThreadsTest, ASlowLaneHoldsUpNoOther) {
  WorkerThreads workers(2);
  std::promise<void> go_on, other_is_done;
  auto may_go_on = go_on.get_future();
  std::atomic<int> slow_cnt = 0;
  workers.post("slow", [&] { may_go_on.wait(), slow_cnt++; });
  for (int i = 0; i < 5; i++) workers.post("slow", [&] { slow_cnt++; });
  workers.post("other", [&] { other_is_done.set_value(); });
  other_is_done.get_future().wait();
  EXPECT_EQ(slow_cnt, 0);
  EXPECT_EQ(workers.waiting(), 5u);
  std::promise<void> all_done;
  workers.post("slow", [&] { all_done.set_value(); });
  go_on.set_value();
  all_done.get_future().wait();
  EXPECT_EQ(slow_cnt, 6);
}

TEST(WorkerThreadsTest, ForgetsWhatHasNotBegunWhenItStops) {
  WorkerThreads workers(1);
  std::promise<void> begun;
  std::atomic<int> cnt = 0;
  workers.post("a", [&] {
    begun.set_value();
    while (workers.waiting() > 0) std::this_thread::yield();  // until stop() has forgotten them
    cnt++;
  });
  for (int i = 0; i < 10; i++) workers.post("b", [&] { cnt += 100; });
  begun.get_future().wait();
  workers.stop();
  EXPECT_EQ(cnt, 1);
  workers.post("a", [&] { cnt++; });
  workers.stop();
  EXPECT_EQ(cnt, 1);
}

}  // namespace
}  // namespace waitprobe
