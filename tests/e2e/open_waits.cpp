// SPDX-License-Identifier: MIT
//
// Waits that stay open, for stuck_test.py and bench/stuck.sh. Without arguments one of each kind; with a number, so many
// threads in one wait each; with the name of a scene and a number, so many threads in it. Says "ready" when all are open, or "late" where
// that has taken so long that threads do not look as if they had waited from their start; and ends with its standard input.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <waitprobe/wait_counter.h>

namespace {

using waitprobe::WaitCounterHandle;

constexpr std::size_t many = 40;  // more than a block has slots for

void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

[[noreturn]] __attribute__((noinline)) void stay() {
  for (;;) pause();
}

// Later than its thread by more than what counts as the same time.
void begin_later() { usleep(150'000); }

__attribute__((noinline)) void wait_with_a_known_stack(std::latch& open) {
  STATIC_SCOPED_WAIT_COUNTER(stack.wait);
  open.count_down();
  stay();
}

void one_of_each(std::vector<std::thread>& threads, std::latch& open, std::optional<WaitCounterHandle::WaitGuard>& given) {
  std::latch is_first(1);
  threads.emplace_back([&] {
    name_thread("idle");
    STATIC_SCOPED_WAIT_COUNTER(idle.wait);
    is_first.count_down();
    open.count_down();
    stay();
  });
  is_first.wait();
  threads.emplace_back([&] {
    name_thread("many");
    begin_later();
    static WaitCounterHandle handle("many.wait");
    std::vector<WaitCounterHandle::WaitGuard> guards;
    for (std::size_t i = 0; i < many; i++) guards.push_back(handle.start());
    open.count_down();
    stay();
  });
  threads.emplace_back([&] {
    name_thread("stack");
    begin_later();
    wait_with_a_known_stack(open);
  });
  std::thread([&] {
    static WaitCounterHandle handle("given.wait");
    given.emplace(handle.start());
  }).join();
  open.count_down();
}

// The kernel waits in the name of this thread, which no signal and no debugger can stop, until its child has ended: with its
// standard input.
[[noreturn]] void wait_for_a_vfork_child() {
  begin_later();
  STATIC_SCOPED_WAIT_COUNTER(vfork.wait);
  if (vfork() == 0) {
    (void)!write(STDOUT_FILENO, "ready\n", 6);
    for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
    }
    _exit(0);
  }
  stay();
}

std::mutex account;
std::mutex queue_mutex;
std::condition_variable has_jobs;

[[noreturn]] void pop(std::latch& open) {
  std::unique_lock lock(queue_mutex);
  open.count_down();
  for (;;) has_jobs.wait(lock);
}

// A thread for each request, which hangs at once on a lock that is never released.
void request(std::latch& open) {
  STATIC_SCOPED_WAIT_COUNTER(account.lock);
  open.count_down();
  account.lock();
}

// Workers whose queue is empty.
void worker(std::latch& open) {
  STATIC_SCOPED_WAIT_COUNTER(worker.queue);
  pop(open);
}

void marked_worker(std::latch& open) {
  STATIC_SCOPED_IDLE_COUNTER(worker.queue);
  pop(open);
}

void worker_that_has_worked(std::latch& open) {
  STATIC_WAIT_COUNTER(worker.queue).start().stop();
  worker(open);
}

// Has had no other wait, but works before.
void late_worker(std::latch& open) {
  begin_later();
  worker(open);
}

// Measures a piece of work, in which it waits.
void job(std::latch& open) {
  STATIC_SCOPED_WORK_COUNTER(worker.job);
  request(open);
}

struct Scene {
  const char* name;
  void (*run)(std::latch& open);
};
constexpr Scene scenes[] = {{"requests", request},
                            {"workers", worker},
                            {"marked-workers", marked_worker},
                            {"used-workers", worker_that_has_worked},
                            {"late-workers", late_worker},
                            {"jobs", job}};

// Returns how many threads there are in it.
int begin_scene(const char* name, int cnt, std::vector<std::thread>& threads, std::latch& open) {
  account.lock();
  for (const Scene& scene : scenes) {
    if (std::strcmp(name, scene.name) != 0) continue;
    for (int i = 0; i < cnt; i++) threads.emplace_back(scene.run, std::ref(open));
  }
  return static_cast<int>(threads.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "vfork") wait_for_a_vfork_child();
  const int cnt = argc > 1 ? std::atoi(argv[argc - 1]) : 0;
  std::latch open(cnt != 0 ? cnt : 4);
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  std::optional<WaitCounterHandle::WaitGuard> given;
  if (cnt == 0) one_of_each(threads, open, given);
  for (int i = argc > 2 ? begin_scene(argv[1], cnt, threads, open) : 0; i < cnt; i++) {
    threads.emplace_back([&open, i] {
      name_thread(("waiter-" + std::to_string(i)).c_str());
      begin_later();
      STATIC_SCOPED_WAIT_COUNTER(many.threads);
      open.count_down();
      stay();
    });
  }
  open.wait();
  const bool is_late = argc > 2 && std::chrono::steady_clock::now() - began > std::chrono::milliseconds(50);
  std::puts(is_late ? "late" : "ready");
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}
