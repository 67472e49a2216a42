// SPDX-License-Identifier: MIT
//
// Waits that stay open, for stuck_test.py and bench/stuck.sh. Without arguments one of each kind; with a number, so many
// threads in one wait each. Says "ready" when all are open, and ends with its standard input.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <latch>
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
  threads.emplace_back([&] {
    name_thread("idle");
    STATIC_SCOPED_WAIT_COUNTER(idle.wait);
    open.count_down();
    stay();
  });
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

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "vfork") wait_for_a_vfork_child();
  const int cnt = argc > 1 ? std::atoi(argv[1]) : 0;
  std::latch open(cnt != 0 ? cnt : 4);
  std::vector<std::thread> threads;
  std::optional<WaitCounterHandle::WaitGuard> given;
  if (cnt == 0) one_of_each(threads, open, given);
  for (int i = 0; i < cnt; i++) {
    threads.emplace_back([&open, i] {
      name_thread(("waiter-" + std::to_string(i)).c_str());
      begin_later();
      STATIC_SCOPED_WAIT_COUNTER(many.threads);
      open.count_down();
      stay();
    });
  }
  open.wait();
  std::puts("ready");
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}
