// SPDX-License-Identifier: MIT
//
// A cache that answers at once, but not always: now and then it is written to disk. Runs until it is ended, or for so many
// seconds: waitprobe-story-lock [SECONDS]
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include <waitprobe/wait_counter.h>

namespace {

constexpr int lookers = 4;
constexpr std::size_t file_bytes = 32 << 20;

class Cache {
 public:
  int find(int key) {
    const auto lock = acquire();
    return entries_[key]++;
  }

  // So that it is there after a crash.
  void save(int file) {
    const auto lock = acquire();
    STATIC_SCOPED_WAIT_COUNTER(cache.save);
    const std::string bytes(file_bytes, static_cast<char>(entries_.size()));
    if (pwrite(file, bytes.data(), bytes.size(), 0) < 0 || fsync(file) != 0) std::perror("cannot save the cache");
  }

 private:
  std::unique_lock<std::mutex> acquire() {
    STATIC_SCOPED_WAIT_COUNTER(cache.lock);
    return std::unique_lock(mutex_);
  }

  std::mutex mutex_;
  std::unordered_map<int, int> entries_;
};

void look_things_up(Cache& cache) {
  pthread_setname_np(pthread_self(), "looker");
  for (int i = 0;; i++) {
    cache.find(i % 1'000);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void save_again_and_again(Cache& cache, int file) {
  pthread_setname_np(pthread_self(), "saver");
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    cache.save(file);
  }
}

}  // namespace

int main(int argc, char** argv) {
  static Cache cache;
  std::string path = std::filesystem::temp_directory_path() / "waitprobe-story-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return std::perror(path.c_str()), 1;
  unlink(path.c_str());  // it goes with the process
  for (int i = 0; i < lookers; i++) std::thread([] { look_things_up(cache); }).detach();
  std::thread([file] { save_again_and_again(cache, file); }).detach();
  std::this_thread::sleep_for(std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 86'400));
  std::_Exit(0);
}
