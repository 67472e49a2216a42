// SPDX-License-Identifier: MIT
//
// A bank in which money is moved from one account to another, until two who do so wait for each other. Runs until it is ended,
// or for so many seconds: waitprobe-story-hang [SECONDS]
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <waitprobe/wait_counter.h>

namespace {

void pass_time(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class Account {
 public:
  std::unique_lock<std::mutex> lock() {
    STATIC_SCOPED_WAIT_COUNTER(account.lock);
    return std::unique_lock(mutex_);
  }
  void add(int amount) { balance_ += amount; }

 private:
  std::mutex mutex_;
  int balance_ = 0;
};

Account checking, savings, pension;

// Each locks its accounts in the order of the movement, and this is what is wrong.
void transfer(Account& from, Account& to, int amount) {
  const auto lock_from = from.lock();
  pass_time(1);
  const auto lock_to = to.lock();
  from.add(-amount);
  to.add(amount);
}

void start(const char* name, void (*work)()) {
  std::thread([name, work] {
    pthread_setname_np(pthread_self(), name);
    pass_time(200);
    for (;;) work();
  }).detach();
}

// There is never any work for it.
void wait_for_work() {
  static std::mutex mutex;
  static std::condition_variable work;
  STATIC_SCOPED_IDLE_COUNTER(queue.idle);
  std::unique_lock lock(mutex);
  for (;;) work.wait(lock);
}

}  // namespace

int main(int argc, char** argv) {
  start("save", [] { transfer(checking, savings, 10); });
  start("spend", [] { transfer(savings, checking, 5); });
  start("auditor", [] {
    const auto lock = pension.lock();
    pass_time(1);
  });
  std::thread([] {
    pthread_setname_np(pthread_self(), "worker");
    wait_for_work();
  }).detach();
  pass_time(1000 * (argc > 1 ? std::atoi(argv[1]) : 86'400));
  std::_Exit(0);
}
