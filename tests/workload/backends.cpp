// SPDX-License-Identifier: MIT
#include "tests/workload/backends.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include <waitprobe/wait_counter.h>

namespace {

namespace detail = waitprobe::detail;
using Moment = std::chrono::steady_clock::time_point;

std::int64_t ns_of(Moment moment) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(moment.time_since_epoch()).count();
}

template <class Backend>
class Factory : public detail::WaitCounterBackendFactoryIf {
 public:
  std::unique_ptr<detail::WaitCounterBackendIf> create(std::string_view key) noexcept override {
    return std::make_unique<Backend>(key);
  }
};

class Counting : public detail::WaitCounterBackendIf {
 public:
  explicit Counting(std::string_view) {}
  std::intptr_t start(Moment) noexcept override { return 1; }
  void stop(Moment, std::intptr_t ctx) noexcept override { count_ += ctx; }

 private:
  std::atomic<std::int64_t> count_{0};
};

std::mutex recorded_mutex;
std::map<std::string, std::vector<std::uint64_t>> recorded;

class Recording : public detail::WaitCounterBackendIf {
 public:
  explicit Recording(std::string_view key) : key_(key) {}
  std::intptr_t start(Moment now) noexcept override { return ns_of(now); }
  void stop(Moment now, std::intptr_t ctx) noexcept override {
    const std::lock_guard lock(recorded_mutex);
    recorded[key_].push_back(static_cast<std::uint64_t>(ns_of(now) - ctx));
  }

 private:
  std::string key_;
};

}  // namespace

void register_counting_backend() { detail::registerWaitCounterBackend(std::make_unique<Factory<Counting>>()); }
void register_recording_backend() { detail::registerWaitCounterBackend(std::make_unique<Factory<Recording>>()); }

std::map<std::string, std::vector<std::uint64_t>> recorded_durations() {
  const std::lock_guard lock(recorded_mutex);
  auto durations = recorded;
  for (auto& [key, values] : durations) std::sort(values.begin(), values.end());
  return durations;
}
