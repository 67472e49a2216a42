// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace waitprobe {

// Starts a thread that receives no signals: those of the process are for its main thread.
std::thread start_quiet_thread(std::function<void()> run);

// Threads that work tasks off, the oldest first, but of each lane one at a time: a slow one holds up its own lane only, unless
// there are as many slow lanes as threads. All methods are thread-safe.
class WorkerThreads {
 public:
  explicit WorkerThreads(unsigned thread_cnt);
  // stop()
  ~WorkerThreads();

  // The caller bounds how many there are. After stop(), nothing happens.
  void post(std::string lane, std::function<void()> task);
  std::size_t waiting() const;
  // Waits for tasks that have begun, and forgets the others.
  void stop();

 private:
  struct Task {
    std::string lane;
    std::function<void()> run;
  };
  void work();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Task> tasks_;
  std::set<std::string> busy_lanes_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace waitprobe
