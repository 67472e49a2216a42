// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <waitprobe/wait_counter.h>

namespace demo {

// Hands values from one stage to the next. A full queue holds its producers up, an empty one its consumers, and each is a wait
// with a key: "demo.NAME.push" and "demo.NAME.pop".
//
// Threads: any number on both sides.
template <class T>
class BoundedQueue {
 public:
  BoundedQueue(const std::string& name, std::size_t capacity)
      : capacity_(capacity), push_wait_("demo." + name + ".push"), pop_wait_("demo." + name + ".pop") {}

  void push(T value) {
    std::unique_lock lock(mutex_);
    if (values_.size() >= capacity_) {
      const auto guard = push_wait_.start();
      not_full_.wait(lock, [this] { return values_.size() < capacity_; });
    }
    values_.push_back(std::move(value));
    not_empty_.notify_one();
  }

  // Nothing once the queue is closed and empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    if (values_.empty() && !closed_) {
      const auto guard = pop_wait_.start();
      not_empty_.wait(lock, [this] { return !values_.empty() || closed_; });
    }
    if (values_.empty()) return std::nullopt;
    T value = std::move(values_.front());
    values_.pop_front();
    not_full_.notify_one();
    return value;
  }

  // No more values will come.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    not_empty_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable not_full_, not_empty_;
  std::deque<T> values_;
  std::size_t capacity_;
  bool closed_ = false;
  // Keys made at run time: one handle each, found once.
  waitprobe::WaitCounterHandle push_wait_, pop_wait_;
};

}  // namespace demo
