// SPDX-License-Identifier: MIT
//
// A guard does not disturb the code around it: errno, exceptions, allocation.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "src/runtime/probes.h"
#include "tests/runtime/allocations.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/recorder.h"

using test::Recorder;
using waitprobe::WaitCounterHandle;

namespace {

class Rude : public waitprobe::detail::WaitCounterBackendIf {
 public:
  std::intptr_t start(std::chrono::steady_clock::time_point) noexcept override { return errno = ENOMEM; }
  void stop(std::chrono::steady_clock::time_point, std::intptr_t) noexcept override { errno = EIO; }
};

class RudeFactory : public waitprobe::detail::WaitCounterBackendFactoryIf {
 public:
  std::unique_ptr<waitprobe::detail::WaitCounterBackendIf> create(std::string_view key) noexcept override {
    errno = ENOENT;
    return key == "quiet.errno" ? std::make_unique<Rude>() : nullptr;
  }
};

static_assert(noexcept(std::declval<WaitCounterHandle&>().start()));
static_assert(noexcept(std::declval<WaitCounterHandle::WaitGuard&>().stop()));
static_assert(noexcept(waitprobe_start(nullptr)) && noexcept(waitprobe_stop(nullptr)));
static_assert(std::is_nothrow_move_constructible_v<WaitCounterHandle::WaitGuard>);
static_assert(!std::is_copy_constructible_v<WaitCounterHandle::WaitGuard>);
static_assert(sizeof(WaitCounterHandle::WaitGuard) == sizeof(void*));

}  // namespace

TEST(Quiet, errno_is_kept_by_the_first_start_and_by_all_others) {
  waitprobe::detail::registerWaitCounterBackend(std::make_unique<RudeFactory>());
  std::thread([] {
    for (int i = 0; i < 3; i++) {
      errno = EXDEV;
      auto guard = STATIC_WAIT_COUNTER(quiet.errno).start();
      EXPECT_EQ(errno, EXDEV);
      errno = ERANGE;
      guard.stop();
      EXPECT_EQ(errno, ERANGE);
    }
  }).join();
}

TEST(Quiet, nothing_is_allocated_after_the_first_wait) {
  test::Tally& tally = Recorder::follow("quiet.alloc").of("quiet.alloc");
  std::thread([] {
    const auto wait = [] {
      auto first = STATIC_WAIT_COUNTER(quiet.alloc).start();
      auto second = STATIC_WAIT_COUNTER(quiet.alloc).start();
    };
    wait();
    const int before = test::allocations();
    for (int i = 0; i < 1000; i++) wait();
    EXPECT_EQ(test::allocations(), before);
  }).join();
  EXPECT_TRUE(tally.saw(2002));
}

TEST(Quiet, the_count_of_allocations_counts) {
  const int before = test::allocations();
  void* volatile from_malloc = std::malloc(23);
  int* volatile from_new = new int(7);
  EXPECT_EQ(test::allocations(), before + 2);
  std::free(from_malloc);
  delete from_new;
}

TEST(Quiet, idle_nothing_is_allocated_and_no_counter_is_made) {
  ASSERT_EQ(__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED), 0U) << "this test needs a process of its own";
  const int before = test::allocations();
  const std::uint32_t counters = waitprobe_root.counter_cnt;
  for (int i = 0; i < 1000; i++) STATIC_WAIT_COUNTER(quiet.idle).start().stop();
  EXPECT_EQ(test::allocations(), before);
  EXPECT_EQ(waitprobe_root.counter_cnt, counters);
}

// The deterministic case of a guard in a signal handler: malloc is called in the middle of the making of a counter, here for a
// key for which no memory is prepared.
TEST(Quiet, a_guard_inside_malloc_that_interrupts_a_start_is_counted_and_harmless) {
  Recorder& recorder = Recorder::follow("quiet.malloc");
  STATIC_WAIT_COUNTER(quiet.malloc.inner).start().stop();
  const std::uint64_t before = test::arena().lost_reentered;
  const std::string long_key = "quiet.malloc.outer" + std::string(1 << 20, 'x');
  waitprobe_handle outer = {long_key.data(), long_key.size(), nullptr, WAITPROBE_CLASS_WAIT};
  {
    const test::OnAllocation inside([] { STATIC_WAIT_COUNTER(quiet.malloc.inner).start().stop(); });
    waitprobe_stop(waitprobe_start(&outer));
  }
  const auto lost = static_cast<int>(test::arena().lost_reentered - before);
  EXPECT_GE(lost, 1);
  test::Tally& inner = recorder.of("quiet.malloc.inner");
  EXPECT_TRUE(inner.saw(inner.starts));
  EXPECT_TRUE(recorder.of(long_key).saw(1));
  EXPECT_EQ(test::open_slots(), 0);
}
