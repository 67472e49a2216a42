// SPDX-License-Identifier: MIT
//
// One stop for each start, whatever becomes of the guard.
#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/runtime/recorder.h"

using waitprobe::WaitCounterHandle;

TEST(Guard, ends_its_wait_at_the_end_of_its_scope) {
  test::Tally& tally = test::Recorder::follow("guard.scope").of("guard.scope");
  {
    STATIC_SCOPED_WAIT_COUNTER(guard.scope);
    EXPECT_EQ(tally.open_now(), 1);
  }
  EXPECT_TRUE(tally.saw(1));
}

TEST(Guard, stopped_twice_stops_once) {
  test::Tally& tally = test::Recorder::follow("guard.twice").of("guard.twice");
  std::optional<WaitCounterHandle::WaitGuard> guard(STATIC_WAIT_COUNTER(guard.twice).start());
  guard->stop();
  EXPECT_TRUE(tally.saw(1));
  guard->stop();
  EXPECT_TRUE(tally.saw(1));
  // Another wait takes its place, and is none of its business.
  auto other = STATIC_WAIT_COUNTER(guard.twice).start();
  guard->stop();
  guard.reset();
  EXPECT_EQ(tally.open_now(), 1);
  other.stop();
  EXPECT_TRUE(tally.saw(2));
}

TEST(Guard, moved_ends_its_wait_once_and_where_it_went) {
  test::Tally& tally = test::Recorder::follow("guard.move").of("guard.move");
  {
    std::optional<WaitCounterHandle::WaitGuard> target;
    {
      auto source = STATIC_WAIT_COUNTER(guard.move).start();
      target.emplace(std::move(source));
    }
    EXPECT_EQ(tally.open_now(), 1);
  }
  EXPECT_TRUE(tally.saw(1));
}

TEST(Guard, moved_from_does_nothing) {
  test::Tally& tally = test::Recorder::follow("guard.from").of("guard.from");
  auto source = STATIC_WAIT_COUNTER(guard.from).start();
  auto target = std::move(source);
  source.stop();  // NOLINT(bugprone-use-after-move): this is what is tested
  EXPECT_EQ(tally.open_now(), 1);
  target.stop();
  EXPECT_TRUE(tally.saw(1));
}

TEST(Guard, may_stop_on_another_thread) {
  test::Tally& tally = test::Recorder::follow("guard.cross").of("guard.cross");
  for (int i = 0; i < 23; i++) {
    auto guard = STATIC_WAIT_COUNTER(guard.cross).start();
    std::thread([moved = std::move(guard)]() mutable { moved.stop(); }).join();
  }
  EXPECT_TRUE(tally.saw(23));
}

TEST(Guard, may_outlive_the_thread_that_started_it) {
  test::Tally& tally = test::Recorder::follow("guard.orphan").of("guard.orphan");
  std::optional<WaitCounterHandle::WaitGuard> guard;
  std::thread([&] { guard.emplace(STATIC_WAIT_COUNTER(guard.orphan).start()); }).join();
  // Others come and go meanwhile, and must not take its place.
  for (int i = 0; i < 7; i++) std::thread([] { STATIC_SCOPED_WAIT_COUNTER(guard.orphan); }).join();
  EXPECT_EQ(tally.open_now(), 1);
  guard.reset();
  EXPECT_TRUE(tally.saw(8));
}

TEST(Guard, may_outlive_its_handle) {
  test::Tally& tally = test::Recorder::follow("guard.handle").of("guard.handle");
  std::optional<WaitCounterHandle::WaitGuard> guard;
  {
    WaitCounterHandle handle{std::string("guard.") + "handle"};
    guard.emplace(handle.start());
  }
  EXPECT_EQ(tally.open_now(), 1);
  guard.reset();
  EXPECT_TRUE(tally.saw(1));
}

TEST(Guard, a_copied_handle_names_the_same_counter) {
  test::Tally& tally = test::Recorder::follow("guard.copy").of("guard.copy");
  WaitCounterHandle first{std::string("guard.copy")};
  WaitCounterHandle second = first;
  first.start().stop();
  second.start().stop();
  EXPECT_TRUE(tally.saw(2));
  EXPECT_EQ(tally.created, 1);
}

TEST(Guard, waits_of_one_key_may_overlap_and_end_in_any_order) {
  test::Tally& tally = test::Recorder::follow("guard.overlap").of("guard.overlap");
  std::vector<WaitCounterHandle::WaitGuard> guards;
  for (int i = 0; i < 100; i++) guards.push_back(STATIC_WAIT_COUNTER(guard.overlap).start());
  EXPECT_EQ(tally.open_now(), 100);
  for (std::size_t i = 0; i < guards.size(); i++) guards[(i * 23) % guards.size()].stop();
  EXPECT_TRUE(tally.saw(100));
}

TEST(Guard, started_before_anybody_listened_is_not_reported) {
  auto guard = STATIC_WAIT_COUNTER(guard.unarmed).start();
  test::Tally& tally = test::Recorder::follow("guard.unarmed").of("guard.unarmed");
  guard.stop();
  EXPECT_EQ(tally.starts, 0);
  EXPECT_EQ(tally.stops, 0);
  STATIC_WAIT_COUNTER(guard.unarmed).start().stop();
  EXPECT_TRUE(tally.saw(1));
}
