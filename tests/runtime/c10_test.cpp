// SPDX-License-Identifier: MIT
//
// Code as it is written for PyTorch's c10/util/WaitCounter.h.
#include <c10/util/WaitCounter.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
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

TEST_F(C10, guards_live_wherever_objects_do) {
  struct Request {
    std::optional<WaitCounterHandle::WaitGuard> waiting;
  };
  Request request;
  request.waiting.emplace(STATIC_WAIT_COUNTER(pytorch.request).start());
  request.waiting.reset();
  std::vector<WaitCounterHandle::WaitGuard> open;
  for (int i = 0; i < 100; i++) open.push_back(STATIC_WAIT_COUNTER(pytorch.many_open).start());
  open.clear();
  std::thread([guard = STATIC_WAIT_COUNTER(pytorch.handed_over).start()]() mutable { guard.stop(); }).join();
  expect("pytorch.request", 1);
  expect("pytorch.many_open", 100);
  expect("pytorch.handed_over", 1);
}

TEST_F(C10, expressions_keep_their_kind) {
  int number = 5;
  const auto reference = [&]() -> int& { return number; };
  WITH_WAIT_COUNTER(pytorch.reference, reference()) = 6;
  EXPECT_EQ(number, 6);
  WITH_WAIT_COUNTER(pytorch.nothing, static_cast<void>(number++));
  EXPECT_EQ(number, 7);
  auto moved = WITH_WAIT_COUNTER(pytorch.moved, std::make_unique<int>(8));
  EXPECT_EQ(*moved, 8);
  EXPECT_THROW(WITH_WAIT_COUNTER(pytorch.thrown, throw std::runtime_error("x")), std::runtime_error);
  for (const char* key : {"pytorch.reference", "pytorch.nothing", "pytorch.moved", "pytorch.thrown"}) expect(key, 1);
}

TEST_F(C10, start_gets_the_time_and_stop_gets_it_back) {
  const auto before = std::chrono::steady_clock::now();
  {
    STATIC_SCOPED_WAIT_COUNTER(pytorch.timed);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto most = std::chrono::steady_clock::now() - before;
  EXPECT_GE(waits_of("pytorch.timed").total, std::chrono::milliseconds(5));
  EXPECT_LE(waits_of("pytorch.timed").total, most);
}

namespace {

class MockBackend : public WaitCounterBackendIf {
 public:
  MOCK_METHOD(std::intptr_t, start, (std::chrono::steady_clock::time_point now), (noexcept, override));
  MOCK_METHOD(void, stop, (std::chrono::steady_clock::time_point now, std::intptr_t ctx), (noexcept, override));
};

class MockFactory : public WaitCounterBackendFactoryIf {
 public:
  MOCK_METHOD(std::unique_ptr<WaitCounterBackendIf>, create, (std::string_view key), (noexcept, override));
};

}  // namespace

TEST_F(C10, every_factory_is_asked_once_and_every_stop_brings_the_context_of_its_start) {
  constexpr int factories = 3, waits = 5;
  std::vector<MockBackend*> backends;
  std::vector<MockFactory*> asked;
  for (int i = 0; i < factories; i++) {
    auto backend = std::make_unique<testing::StrictMock<MockBackend>>();
    backends.push_back(backend.get());
    testing::Mock::AllowLeak(backend.get());
    for (int k = 0; k < waits; k++) {
      const std::intptr_t ctx = i * 1000 + k;
      const testing::InSequence order;
      EXPECT_CALL(*backend, start).WillOnce(testing::Return(ctx));
      EXPECT_CALL(*backend, stop(testing::_, ctx));
    }
    auto factory = std::make_unique<testing::NiceMock<MockFactory>>();
    asked.push_back(factory.get());
    testing::Mock::AllowLeak(factory.get());
    EXPECT_CALL(*factory, create).WillRepeatedly([](std::string_view) { return nullptr; });
    EXPECT_CALL(*factory, create(std::string_view("pytorch.mocked")))
        .WillOnce([made = std::move(backend)](std::string_view) mutable -> std::unique_ptr<WaitCounterBackendIf> {
          return std::move(made);
        });
    c10::monitor::detail::registerWaitCounterBackend(std::move(factory));
  }
  EXPECT_EQ(c10::monitor::detail::getRegisteredWaitCounterBackends().size(), 1U + factories);
  for (int k = 0; k < waits; k++) STATIC_SCOPED_WAIT_COUNTER(pytorch.mocked);
  expect("pytorch.mocked", waits);
  // They live for ever, so it has to be asked for.
  for (MockBackend* backend : backends) EXPECT_TRUE(testing::Mock::VerifyAndClearExpectations(backend));
  for (MockFactory* factory : asked) EXPECT_TRUE(testing::Mock::VerifyAndClearExpectations(factory));
}
