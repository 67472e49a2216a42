// SPDX-License-Identifier: MIT
#include "src/serve/worker_threads.h"

#include <signal.h>

#include <algorithm>
#include <memory>

namespace waitprobe {

std::thread start_quiet_thread(std::function<void()> run) {
  // A thread inherits the mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto restore = [&before](sigset_t*) { pthread_sigmask(SIG_SETMASK, &before, nullptr); };
  const std::unique_ptr<sigset_t, decltype(restore)> restored(&all, restore);
  return std::thread(std::move(run));
}

WorkerThreads::WorkerThreads(unsigned thread_cnt) {
  try {
    for (unsigned i = 0; i < thread_cnt; i++) threads_.push_back(start_quiet_thread([this] { work(); }));
  } catch (...) {
    stop();
    throw;
  }
}

WorkerThreads::~WorkerThreads() { stop(); }

void WorkerThreads::post(std::string lane, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    tasks_.push_back({std::move(lane), std::move(task)});
  }
  changed_.notify_one();
}

std::size_t WorkerThreads::waiting() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size();
}

void WorkerThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void WorkerThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    std::list<Task>::iterator next;
    changed_.wait(lock, [&] {
      next = std::find_if(tasks_.begin(), tasks_.end(), [this](const Task& task) { return !busy_lanes_.contains(task.lane); });
      return is_stopping_ || next != tasks_.end();
    });
    if (is_stopping_) return;
    Task task = std::move(*next);
    tasks_.erase(next);
    busy_lanes_.insert(task.lane);
    lock.unlock();
    task.run();
    task.run = nullptr;  // what it holds is destroyed without the lock
    lock.lock();
    busy_lanes_.erase(task.lane);
    changed_.notify_all();  // the lane is free
  }
}

}  // namespace waitprobe
