// SPDX-License-Identifier: MIT
//
// Wait counters of a program that knows nothing of waitprobe, and looks for a backend as PyTorch does: by the name of a
// function, once in the process. As hard to please as PyTorch may be: the function is called under a lock, once for each key,
// which ends at a page that cannot be read and is gone afterwards; the times that are passed on are no times at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace host {

class Counter {
 public:
  explicit Counter(std::string_view key);
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  // Whether there is a backend, and it follows the key.
  bool is_followed() const { return backend_.self != nullptr; }

  std::intptr_t start() { return is_followed() ? backend_.start(backend_.self, no_time) : 0; }
  void stop(std::intptr_t ctx) {
    if (is_followed()) backend_.stop(backend_.self, no_time, ctx);
  }
  // As when PyTorch drops a counter, which it never does.
  void destroy() {
    if (is_followed()) backend_.destroy(std::exchange(backend_.self, nullptr));
  }

 private:
  static constexpr std::int64_t no_time = -12345;

  struct Backend {
    void* self = nullptr;
    std::intptr_t (*start)(void* self, std::int64_t now_us) = nullptr;
    void (*stop)(void* self, std::int64_t now_us, std::intptr_t ctx) = nullptr;
    void (*destroy)(void* self) = nullptr;
  };
  static_assert(sizeof(Backend) == 4 * sizeof(void*));

  Backend backend_;
};

// The counter of a key: one in the process, which is never freed. Threads: any.
Counter& counter_of(std::string_view key);

// A wait that stops by itself.
class Guard {
 public:
  explicit Guard(Counter& counter) : counter_(&counter), ctx_(counter.start()) {}
  Guard(Guard&& other) noexcept : counter_(std::exchange(other.counter_, nullptr)), ctx_(other.ctx_) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  Guard& operator=(Guard&&) = delete;
  ~Guard() { stop(); }

  void stop() {
    if (counter_ != nullptr) std::exchange(counter_, nullptr)->stop(ctx_);
  }

 private:
  Counter* counter_;
  std::intptr_t ctx_;
};

}  // namespace host
