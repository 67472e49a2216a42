// SPDX-License-Identifier: MIT
//
// A server whose requests are slow, though its database is not. Runs until it is ended, or for so many seconds:
// waitprobe-story-pool [SECONDS]
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <waitprobe/wait_counter.h>

namespace {

constexpr int workers = 8, connections = 2;

class Pool {
 public:
  void acquire() {
    STATIC_SCOPED_WAIT_COUNTER(db.pool.acquire);
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return free_ > 0; });
    free_--;
  }

  void release() {
    {
      const std::lock_guard lock(mutex_);
      free_++;
    }
    freed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  int free_ = connections;
};

// The database answers after 2 to 10 ms.
void query(std::mt19937& random) {
  STATIC_SCOPED_WAIT_COUNTER(db.query);
  std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(2'000, 10'000)(random)));
}

void serve_requests(Pool& pool, unsigned seed) {
  std::mt19937 random(seed);
  for (;;) {
    pool.acquire();
    query(random);
    pool.release();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the answer is written
  }
}

}  // namespace

int main(int argc, char** argv) {
  static Pool pool;
  for (unsigned i = 0; i < workers; i++) std::thread([i] { serve_requests(pool, i); }).detach();
  std::this_thread::sleep_for(std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 86'400));
  std::_Exit(0);
}
