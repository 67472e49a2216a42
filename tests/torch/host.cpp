// SPDX-License-Identifier: MIT
//
// A program whose wait counters find their backend as PyTorch's do, and that does with them what PyTorch does. Prints the truth
// as its last line: {"keys":{"k":count}}.
//
//   waitprobe-torch-host [--ready-fd N] [--go-fd N] [--rank N] [--late MS] [--linger MS]
//
// It writes a byte to the ready fd once its keys are known, and begins when it can read one from the go fd. With --rank it sets
// RANK in its own environment, a while (--late) after it has begun. Rank 1 waits longest at the key host.meet. In the end it
// lingers.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "tests/torch/wait_counters.h"

namespace {

using host::Counter;
using host::counter_of;
using host::Guard;

constexpr int many_keys = 1000;
constexpr int threads = 4;
constexpr int rounds = 5000;

// How many waits have ended by key. Shared by parent and children.
struct Truth {
  std::array<std::atomic<long>, many_keys> many;
  std::atomic<long> plain, overlapping, handed_over, across_fork, in_child, of_child, meet;
};
Truth* truth;

std::string many_key(int i) { return "many." + std::to_string(i); }

struct Options {
  int ready_fd = -1, go_fd = -1;
  std::string rank;
  int late_ms = 0, linger_ms = 0;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--ready-fd") options.ready_fd = std::atoi(argv[i + 1]);
    if (name == "--go-fd") options.go_fd = std::atoi(argv[i + 1]);
    if (name == "--rank") options.rank = argv[i + 1];
    if (name == "--late") options.late_ms = std::atoi(argv[i + 1]);
    if (name == "--linger") options.linger_ms = std::atoi(argv[i + 1]);
  }
  return options;
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Each thread waits on all keys, and looks some of them up anew.
void wait_on_many_keys() {
  std::vector<std::thread> all;
  for (int t = 0; t < threads; t++) {
    all.emplace_back([] {
      for (int i = 0; i < many_keys; i++) {
        Counter& counter = counter_of(many_key(i));
        for (int k = 0; k <= i % 7; k++) {
          const Guard guard(counter);
          truth->many[static_cast<std::size_t>(i)]++;
        }
      }
    });
  }
  for (std::thread& thread : all) thread.join();
}

void wait_plainly() {
  Counter& counter = counter_of("host.plain");
  std::vector<std::thread> all;
  for (int t = 0; t < threads; t++) {
    all.emplace_back([&] {
      for (int i = 0; i < rounds; i++) {
        Guard guard(counter);
        guard.stop();
        guard.stop();
        truth->plain++;
      }
    });
  }
  for (std::thread& thread : all) thread.join();
}

// Fifty waits of one key at a time in one thread, which end in the order they began in.
void wait_overlapping() {
  Counter& counter = counter_of("host.overlapping");
  std::queue<std::intptr_t> open;
  for (int i = 0; i < rounds; i++) {
    open.push(counter.start());
    if (open.size() < 50) continue;
    counter.stop(open.front());
    open.pop();
    truth->overlapping++;
  }
  for (; !open.empty(); open.pop(), truth->overlapping++) counter.stop(open.front());
}

// Started here, stopped by another thread.
void wait_handed_over() {
  Counter& counter = counter_of("host.handed_over");
  std::mutex mutex;
  std::condition_variable news;
  std::queue<std::intptr_t> open;
  bool done = false;
  std::thread stopper([&] {
    std::unique_lock lock(mutex);
    for (;;) {
      news.wait(lock, [&] { return done || !open.empty(); });
      if (open.empty()) return;
      const std::intptr_t ctx = open.front();
      open.pop();
      lock.unlock();
      counter.stop(ctx);
      truth->handed_over++;
      lock.lock();
    }
  });
  for (int i = 0; i < rounds; i++) {
    const std::intptr_t ctx = counter.start();
    const std::lock_guard lock(mutex);
    open.push(ctx);
    news.notify_one();
  }
  {
    const std::lock_guard lock(mutex);
    done = true;
  }
  news.notify_one();
  stopper.join();
}

// A child waits on keys that it has inherited and on keys of its own, and ends what its parent has begun, in which the backend
// has to see through it.
void wait_in_children() {
  Counter& shared = counter_of("host.in_child");
  Counter& across = counter_of("host.across_fork");
  for (int i = 0; i < 10; i++) {
    Guard open(across);
    const pid_t child = fork();
    if (child == 0) {
      open.stop();
      for (int k = 0; k < 100; k++) {
        const Guard guard(shared);
        truth->in_child++;
      }
      {
        const Guard guard(counter_of("host.of_child"));
        truth->of_child++;
      }
      if (i % 2 == 0) _exit(0);
      std::exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) std::abort();
    open.stop();
    truth->across_fork++;
  }
}

// Rank 1 waits longest, so the other came last.
void meet(const Options& options) {
  sleep_ms(options.late_ms);
  if (!options.rank.empty()) setenv("RANK", options.rank.c_str(), 1);
  Counter& counter = counter_of("host.meet");
  for (int i = 0; i < 5; i++) {
    const Guard guard(counter);
    sleep_ms(options.rank == "1" ? 20 : 1);
    truth->meet++;
  }
}

void tell_truth() {
  std::printf("{\"keys\":{");
  const char* separator = "";
  const auto key = [&](const std::string& name, long count) {
    std::printf("%s\"%s\":%ld", separator, name.c_str(), count);
    separator = ",";
  };
  key("host.plain", truth->plain);
  key("host.overlapping", truth->overlapping);
  key("host.handed_over", truth->handed_over);
  key("host.across_fork", truth->across_fork);
  key("host.in_child", truth->in_child);
  key("host.of_child", truth->of_child);
  key("host.meet", truth->meet);
  for (int i = 0; i < many_keys; i++) key(many_key(i), truth->many[static_cast<std::size_t>(i)]);
  std::printf("}}\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  truth = static_cast<Truth*>(mmap(nullptr, sizeof(Truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (truth == MAP_FAILED) return 1;
  new (truth) Truth();

  // As the thread pools of PyTorch: some waits never end.
  std::thread idle([] {
    counter_of("host.idle").start();
    for (;;) pause();
  });
  idle.detach();
  for (int i = 0; i < many_keys; i++) {
    if (!counter_of(many_key(i)).is_followed()) {
      std::fputs("waitprobe-torch-host: no backend was found: preload libwaitprobe_torch.so\n", stderr);
      return 1;
    }
  }
  char byte = 0;
  if (options.ready_fd >= 0 && write(options.ready_fd, "r", 1) != 1) return 1;
  if (options.go_fd >= 0 && read(options.go_fd, &byte, 1) != 1) return 1;

  wait_on_many_keys();
  wait_plainly();
  wait_overlapping();
  wait_handed_over();
  wait_in_children();
  meet(options);
  tell_truth();
  sleep_ms(options.linger_ms);
  return 0;
}
