// SPDX-License-Identifier: MIT
//
// Guards that a longjmp leaves behind: their slots come back, and no guard that lives is taken for one of them.
#include <gtest/gtest.h>

#include <unistd.h>

#include <thread>

#include <waitprobe/wait_counter.h>

#include "src/runtime/thread_state.h"
#include "tests/runtime/abandon.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/suspended.h"

namespace {

std::uint64_t records() {
  std::uint64_t n = 0;
  test::each_block([&](const wp_block& block) { n += block.written; });
  return n;
}

// As a tracer would: the guards then take the short way.
void arm() {
  __atomic_store_n(&waitprobe_root.armed.batch, 1, __ATOMIC_RELAXED);
  waitprobe_handle handle = WAITPROBE_HANDLE("abandoned.first");
  waitprobe_stop(waitprobe_start(&handle));
}

std::uint64_t left_behind() { return test::arena().abandoned_cnt + static_cast<std::uint64_t>(test::open_slots()); }

test::Task wait_in_coroutine() {
  STATIC_SCOPED_WAIT_COUNTER(abandoned.coroutine);
  co_await std::suspend_always{};
}

void wait_in_fibre() { test::wait_around(test::leave_fibre); }

}  // namespace

TEST(Abandoned, waits_of_one_place_use_one_slot) {
  arm();
  const int blocks = test::blocks_ever_used();
  for (int i = 0; i < 100'000; i++) test::leave_behind(0);
  EXPECT_EQ(test::blocks_ever_used(), blocks);
  EXPECT_EQ(test::open_slots(), 1) << "the last one: nothing has shown yet that it is gone";
  EXPECT_EQ(test::arena().abandoned_cnt, 99'999U);
  EXPECT_EQ(records(), 1U);
}

TEST(Abandoned, waits_of_many_depths_use_a_bounded_number_of_blocks) {
  arm();
  for (int i = 0; i < 50'000; i++) test::leave_behind(i * 7919 % 500);
  EXPECT_EQ(left_behind(), 50'000U);
  EXPECT_LE(test::open_slots(), 500);
  EXPECT_LE(test::blocks_ever_used(), 100);
}

TEST(Abandoned, waits_of_threads_that_have_ended_give_their_blocks_back) {
  arm();
  for (int i = 0; i < 2'000; i++) std::thread([] { test::leave_behind(3); }).join();
  EXPECT_LE(test::blocks_ever_used(), 150);
  EXPECT_EQ(left_behind(), 2'000U);
}

TEST(Abandoned, waits_leave_the_guards_of_outer_functions_alone) {
  arm();
  test::wait_around([] {
    for (int i = 0; i < 10'000; i++) {
      test::leave_behind(i % 50);
      test::wait_around([] { test::leave_behind(0); });
    }
  });
  EXPECT_EQ(left_behind(), 20'000U);
  EXPECT_EQ(test::arena().lost_stale, 0U);
  EXPECT_EQ(records(), 1U + 10'001U);
}

TEST(Abandoned, waits_do_not_change_what_others_cost) {
  arm();
  const auto home = [] {
    waitprobe_handle handle = WAITPROBE_HANDLE("abandoned.home");
    waitprobe_wait* wait = waitprobe_start(&handle);
    const wp_block* block = test::block_of(wait);
    waitprobe_stop(wait);
    return block;
  }();
  // Of guards that nobody may judge.
  waitprobe_handle handle = WAITPROBE_HANDLE("abandoned.never_judged");
  for (int i = 0; i < 60'000; i++) waitprobe_start(&handle);
  EXPECT_EQ(test::arena().abandoned_cnt, 0U);
  EXPECT_EQ(test::open_slots(), 60'000);
  EXPECT_EQ(home->owner_tid, static_cast<std::uint32_t>(gettid()));
  for (int i = 0; i < 1'000; i++) test::wait_around([] {});
  EXPECT_EQ(records(), 2U + 1'000U);
  EXPECT_LE(test::blocks_ever_used(), 60'000 / WP_BLOCK_SLOTS + 2);
}

TEST(Abandoned, is_no_wait_of_a_recursion) {
  arm();
  test::recurse(5'000);
  EXPECT_EQ(records(), 1U + 5'001U);
  EXPECT_EQ(test::arena().abandoned_cnt, 0U);
  EXPECT_EQ(test::open_slots(), 0);
}

TEST(Abandoned, is_no_wait_that_an_exception_ends) {
  arm();
  for (int i = 0; i < 1'000; i++) {
    try {
      test::wait_around([] { throw 1; });
    } catch (int) {
    }
  }
  EXPECT_EQ(records(), 1U + 1'000U);
  EXPECT_EQ(left_behind(), 0U);
}

TEST(Abandoned, is_no_wait_of_a_coroutine) {
  arm();
  for (int round = 0; round < 2; round++) test::run_coroutines(10'000, wait_in_coroutine);
  EXPECT_EQ(records(), 1U + 20'000U);
  EXPECT_EQ(left_behind(), 0U);
  EXPECT_EQ(test::arena().lost_stale, 0U);
}

TEST(Abandoned, is_no_wait_of_a_fibre) {
  arm();
  for (int round = 0; round < 3; round++) test::run_fibres(1'000, wait_in_fibre);
  EXPECT_EQ(records(), 1U + 3'000U);
  EXPECT_EQ(left_behind(), 0U);
  EXPECT_EQ(test::arena().lost_stale, 0U);
}

// Where the judgement is wrong all the same, no other wait is harmed, and what is lost is counted; once.
TEST(Abandoned, waits_that_end_after_all_are_counted_as_lost) {
  arm();
  std::uint64_t lost = 0;
  for (int round = 0; round < 2; round++) {
    test::run_fibres(6'000, wait_in_fibre);
    EXPECT_EQ(test::open_slots(), 0);
    if (round == 0) lost = test::arena().lost_stale;
  }
  EXPECT_GT(lost, 0U) << "this test means to deceive";
  EXPECT_EQ(test::arena().lost_stale, lost);
  EXPECT_EQ(test::arena().abandoned_cnt, lost);
  EXPECT_EQ(records() + lost, 1U + 12'000U);
}

TEST(Abandoned, a_guard_that_is_stopped_does_not_end_the_wait_that_has_its_slot) {
  arm();
  waitprobe_handle handle = WAITPROBE_HANDLE("abandoned.twice");
  waitprobe_wait* first = waitprobe_start(&handle);
  waitprobe_stop(first);
  waitprobe_wait* second = waitprobe_start(&handle);
  ASSERT_EQ(test::slot_of(first), test::slot_of(second));
  waitprobe_stop(first);
  EXPECT_EQ(test::open_slots(), 1);
  waitprobe_stop(second);
  EXPECT_EQ(records(), 3U);
}

// What siglongjmp leaves when a signal handler has interrupted the library itself.
TEST(Abandoned, is_a_section_of_the_library_whose_function_has_been_left) {
  arm();
  test::pretend_to_be_inside(true);
  test::wait_around([] {});
  EXPECT_EQ(records(), 2U);
  EXPECT_EQ(test::arena().lost_reentered, 1U) << "the wait that was being ended then";
  test::wait_around([] {});
  EXPECT_EQ(test::arena().lost_reentered, 1U);

  test::pretend_to_be_inside(false);
  test::wait_around([] {});
  EXPECT_EQ(records(), 3U) << "a section further up the stack goes on";
  EXPECT_EQ(test::arena().lost_reentered, 2U);
  waitprobe::detail::this_thread.inside = 0;
}
