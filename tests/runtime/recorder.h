// SPDX-License-Identifier: MIT
//
// A backend that checks what it is told. Every start gets a context of its own, and every stop must bring back one that is
// open.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <waitprobe/wait_counter.h>

namespace test {

// What the backends of one key have seen. Threads: any, without locks, so that it can be used in the child of a fork.
struct Tally {
  std::atomic<int> created{0};
  std::atomic<int> starts{0};
  std::atomic<int> stops{0};
  std::atomic<int> wrong{0};  // stops with a context that was not open
  std::atomic<std::uint32_t> next{0};
  std::array<std::atomic<bool>, 4096> open{};

  std::intptr_t start() noexcept {
    starts++;
    std::uint32_t id = next++;
    while (open[id % open.size()].exchange(true)) id = next++;
    return static_cast<std::intptr_t>(id) + context_base;
  }
  void stop(std::intptr_t ctx) noexcept {
    stops++;
    if (!open[static_cast<std::size_t>(ctx - context_base) % open.size()].exchange(false)) wrong++;
  }
  int open_now() const noexcept { return starts - stops; }
  // Exactly `n` waits, all of which have ended with the context they began with.
  bool saw(int n) const noexcept { return starts == n && stops == n && wrong == 0; }

  static constexpr std::intptr_t context_base = 0x7700000000;
};

class Recorder;

class RecordingBackend : public waitprobe::detail::WaitCounterBackendIf {
 public:
  explicit RecordingBackend(Tally& tally) : tally_(tally) {}
  std::intptr_t start(std::chrono::steady_clock::time_point) noexcept override { return tally_.start(); }
  void stop(std::chrono::steady_clock::time_point, std::intptr_t ctx) noexcept override { tally_.stop(ctx); }

 private:
  Tally& tally_;
};

// The tallies of one registered factory, by key.
class Recorder {
 public:
  using OnCreate = std::function<void(std::string_view key)>;

  // Registers a factory for the keys that begin with `prefix`; it returns null for all others. Lives for ever, as factories do.
  static Recorder& follow(std::string prefix, OnCreate on_create = nullptr) {
    auto* recorder = new Recorder;
    keep(recorder);
    waitprobe::detail::registerWaitCounterBackend(
        std::make_unique<Factory>(*recorder, std::move(prefix), std::move(on_create)));
    return *recorder;
  }

  Tally& of(std::string_view key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Not by []: of libstdc++ 14, that leaves std::piecewise_construct in a plug-in, which it shares with others.
    std::unique_ptr<Tally>& tally = tallies_.emplace(std::string(key), nullptr).first->second;
    if (tally == nullptr) tally = std::make_unique<Tally>();
    return *tally;
  }

 private:
  class Factory : public waitprobe::detail::WaitCounterBackendFactoryIf {
   public:
    Factory(Recorder& recorder, std::string prefix, OnCreate on_create)
        : recorder_(recorder), prefix_(std::move(prefix)), on_create_(std::move(on_create)) {}
    std::unique_ptr<waitprobe::detail::WaitCounterBackendIf> create(std::string_view key) noexcept override {
      if (key.substr(0, prefix_.size()) != prefix_) return nullptr;
      Tally& tally = recorder_.of(key);
      tally.created++;
      if (on_create_) on_create_(key);
      return std::make_unique<RecordingBackend>(tally);
    }

   private:
    Recorder& recorder_;
    std::string prefix_;
    OnCreate on_create_;
  };

  // Reachable for ever, so that a leak checker knows it.
  // Hidden: what a plug-in shares with others keeps it from being unloaded.
  __attribute__((visibility("hidden"))) static void keep(Recorder* recorder) {
    static std::mutex mutex;
    static auto* all = new std::map<Recorder*, int>;
    const std::lock_guard<std::mutex> lock(mutex);
    all->emplace(recorder, 0);
  }

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Tally>> tallies_;
};

// Arms the guards of this process without following any key.
inline void arm() { Recorder::follow("no key begins like this"); }

}  // namespace test
