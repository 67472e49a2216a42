// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "src/runtime/counter.h"
#include "tests/runtime/c_api.h"
#include "tests/runtime/recorder.h"

TEST(CInterface, idle_start_gives_null_and_stop_takes_it) {
  ASSERT_EQ(__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED), 0U) << "this test needs a process of its own";
  EXPECT_EQ(c_begin(), nullptr);
  c_end(nullptr);
}

TEST(CInterface, waits_are_those_of_the_counter_of_that_key) {
  test::Tally& tally = test::Recorder::follow("c.").of("c.wait");
  waitprobe_wait* first = c_begin();
  waitprobe_wait* second = c_begin();
  EXPECT_EQ(tally.open_now(), 2);
  c_end(first);
  c_end(second);
  STATIC_WAIT_COUNTER(c.wait).start().stop();
  EXPECT_TRUE(tally.saw(3));
  EXPECT_EQ(tally.created, 1);
}

TEST(CInterface, a_scope_waits_until_it_is_left) {
  static test::Tally* tally = &test::Recorder::follow("c.").of("c.scope");
  const int inside = c_scope([] { return static_cast<int>(tally->open_now()); });
  EXPECT_EQ(inside, 2);
  EXPECT_EQ(tally->open_now(), 0);
  EXPECT_TRUE(tally->saw(2));
}

TEST(CInterface, keys_have_the_class_of_their_handle_or_scope) {
  test::Recorder::follow("c.");
  c_classes();
  const auto flags_of = [](const char* key) { return waitprobe::detail::find_counter(key)->abi.flags; };
  for (const char* key : {"c.idle", "c.idle_scope"}) EXPECT_EQ(flags_of(key), WP_CLASS_IDLE + 0U) << key;
  for (const char* key : {"c.work", "c.work_scope"}) EXPECT_EQ(flags_of(key), WP_CLASS_WORK + 0U) << key;
}

TEST(CInterface, a_scope_in_cpp_ends_by_an_exception_too) {
  test::Tally& tally = test::Recorder::follow("c.").of("c.thrown");
  try {
    WAITPROBE_SCOPED("c.thrown");
    EXPECT_EQ(tally.open_now(), 1);
    throw 7;
  } catch (int) {
  }
  EXPECT_EQ(tally.open_now(), 0);
  EXPECT_TRUE(tally.saw(1));
}
