// SPDX-License-Identifier: MIT
#include "tests/torch/wait_counters.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

namespace host {
namespace {

void* find_function() {
  static void* const function = dlsym(RTLD_DEFAULT, "c10_monitor_wait_counter_dynamic_backend_init_v1");
  return function;
}

// A key at the very end of what can be read.
class Brink {
 public:
  explicit Brink(std::string_view key) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    const std::size_t readable = (key.size() / page_ + 1) * page_;
    bytes_ = readable + page_;
    memory_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED || mprotect(memory_ + readable, page_, PROT_NONE) != 0) std::abort();
    key_ = memory_ + readable - key.size();
    std::memcpy(key_, key.data(), key.size());
  }
  ~Brink() { munmap(memory_, bytes_); }
  Brink(const Brink&) = delete;
  Brink& operator=(const Brink&) = delete;

  const char* key() const { return key_; }

 private:
  std::size_t page_;
  std::size_t bytes_;
  char* memory_;
  char* key_;
};

}  // namespace

Counter::Counter(std::string_view key) {
  void* const function = find_function();
  if (function == nullptr) return;
  const Brink brink(key);
  errno = E2BIG;
  reinterpret_cast<void (*)(Backend*, const char*, std::size_t)>(function)(&backend_, brink.key(), key.size());
  if (errno != E2BIG) std::abort();  // it was changed behind the back of the program
}

Counter& counter_of(std::string_view key) {
  static std::mutex mutex;
  static auto& counters = *new std::map<std::string, std::unique_ptr<Counter>, std::less<>>;
  const std::lock_guard lock(mutex);
  const auto known = counters.find(key);
  if (known != counters.end()) return *known->second;
  return *counters.emplace(key, std::make_unique<Counter>(key)).first->second;
}

}  // namespace host
