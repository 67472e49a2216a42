// SPDX-License-Identifier: MIT
//
// Code as it is written for PyTorch's c10/util/WaitCounter.h.
#include <c10/util/WaitCounter.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

namespace {

using c10::monitor::WaitCounterHandle;
using c10::monitor::detail::WaitCounterBackendFactoryIf;
using c10::monitor::detail::WaitCounterBackendIf;

struct Waits {
  std::mutex mutex;
  std::unordered_set<std::intptr_t> open;
  int started = 0;
  int stopped = 0;
  std::chrono::steady_clock::duration total{0};
};
std::map<std::string, Waits, std::less<>> all;
std::mutex all_mutex;

Waits& waits_of(std::string_view key) {
  const std::lock_guard lock(all_mutex);
  return all[std::string(key)];
}

class Backend : public WaitCounterBackendIf {
 public:
  explicit Backend(std::string_view key) : waits_(waits_of(key)) {}

  std::intptr_t start(std::chrono::steady_clock::time_point now) noexcept override {
    const std::lock_guard lock(waits_.mutex);
    const auto ctx = reinterpret_cast<std::intptr_t>(new std::chrono::steady_clock::time_point(now));
    waits_.open.insert(ctx);
    waits_.started++;
    return ctx;
  }

  void stop(std::chrono::steady_clock::time_point now, std::intptr_t ctx) noexcept override {
    const std::lock_guard lock(waits_.mutex);
    if (waits_.open.erase(ctx) == 0) return;
    const std::unique_ptr<std::chrono::steady_clock::time_point> began(
        reinterpret_cast<std::chrono::steady_clock::time_point*>(ctx));
    waits_.total += now - *began;
    waits_.stopped++;
  }

 private:
  Waits& waits_;
};

// Follows the keys of "pytorch" alone.
class Factory : public WaitCounterBackendFactoryIf {
 public:
  std::unique_ptr<WaitCounterBackendIf> create(std::string_view key) noexcept override {
    if (key.find("pytorch") == std::string_view::npos) return nullptr;
    return std::make_unique<Backend>(key);
  }
};

class C10 : public testing::Test {
 protected:
  static void SetUpTestSuite() { c10::monitor::detail::registerWaitCounterBackend(std::make_unique<Factory>()); }

  static void expect(const char* key, int n) {
    Waits& waits = waits_of(key);
    const std::lock_guard lock(waits.mutex);
    EXPECT_EQ(waits.started, n) << key;
    EXPECT_EQ(waits.stopped, n) << key;
    EXPECT_TRUE(waits.open.empty()) << key;
  }
};

}  // namespace

TEST_F(C10, registered_factory_is_listed) { EXPECT_EQ(c10::monitor::detail::getRegisteredWaitCounterBackends().size(), 1U); }

TEST_F(C10, macros_count_under_the_key_they_spell) {
  {
    STATIC_SCOPED_WAIT_COUNTER(pytorch.scoped);
    STATIC_SCOPED_WAIT_COUNTER(pytorch.scoped_too);
  }
  EXPECT_EQ(WITH_WAIT_COUNTER(pytorch.with, 5), 5);
  auto& handle = STATIC_WAIT_COUNTER(pytorch.handle);
  for (int i = 0; i < 3; i++) auto guard = handle.start();
  expect("pytorch.scoped", 1);
  expect("pytorch.scoped_too", 1);
  expect("pytorch.with", 1);
  expect("pytorch.handle", 3);
}

TEST_F(C10, factory_filters_keys) {
  { STATIC_SCOPED_WAIT_COUNTER(other.key); }
  expect("other.key", 0);
}

TEST_F(C10, guards_may_be_moved_and_stopped_twice) {
  WaitCounterHandle handle("pytorch.guards");
  {
    auto first = handle.start();
    auto second = std::move(first);
    second.stop();
    second.stop();
    auto third = handle.start();
    WaitCounterHandle::WaitGuard fourth(std::move(third));
  }
  expect("pytorch.guards", 2);
}

TEST_F(C10, ten_threads_count_exactly) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; i++) {
    threads.emplace_back([] {
      for (int k = 0; k < 1000; k++) {
        STATIC_SCOPED_WAIT_COUNTER(pytorch.threads);
        WaitCounterHandle("pytorch.dynamic").start();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  expect("pytorch.threads", 10'000);
  expect("pytorch.dynamic", 10'000);
}
