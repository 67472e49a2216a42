// SPDX-License-Identifier: MIT
//
// Waits that are the last thing a thread or a process does, seen from outside.
#include <gtest/gtest.h>

#include <string>

#include "tests/runtime/child.h"

namespace {

class ProcessEnd : public testing::TestWithParam<const char*> {};

std::string preload(const char* library) { return std::string("LD_PRELOAD=") + library; }
// The sanitizer's own library does not come first then.
const char* const any_order = "ASAN_OPTIONS=verify_asan_link_order=0";

}  // namespace

TEST_P(ProcessEnd, waits_in_static_and_thread_local_destructors_and_atexit_handlers_are_all_seen) {
  // Two statics, a static guard, an atexit handler, the destructor that prints; for each of two threads a plain wait, a
  // thread_local, a thread_local guard; and a pthread key of the one that is not the main thread.
  const test::Ended ended = test::Program(GetParam(), {"statics"}).finish();
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.output, "12 12 0\n");
}

TEST_P(ProcessEnd, with_threads_that_wait_on_is_clean) {
  for (int i = 0; i < 20; i++) {
    const test::Ended ended = test::Program(GetParam(), {"running"}, {"TSAN_OPTIONS=report_thread_leaks=0"}).finish();
    ASSERT_EQ(ended.status, 0) << ended.output;
    ASSERT_EQ(ended.output, "");
  }
}

TEST_P(ProcessEnd, works_with_the_shared_library_preloaded) {
  const test::Ended ended = test::Program(GetParam(), {"statics"}, {preload(WAITPROBE_LIBRARY), any_order}).finish();
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.output, "12 12 0\n");
}

INSTANTIATE_TEST_SUITE_P(Library, ProcessEnd, testing::Values(LAST_WAITS_STATIC, LAST_WAITS_SHARED),
                         [](const auto& test) { return test.index == 0 ? "linked_static" : "linked_shared"; });

TEST(Preload, into_a_program_that_knows_nothing_of_the_library_changes_nothing) {
  const test::Ended ended = test::Program("/bin/echo", {"unchanged"}, {preload(WAITPROBE_LIBRARY), any_order}).finish();
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.output, "unchanged\n");
}
