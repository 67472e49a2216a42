// SPDX-License-Identifier: MIT
//
// A program whose waits begin and end at the odd moments of its life. The very last thing it does is to print what its backend
// has seen: "starts stops wrong".
//
//   last_waits statics    waits in static destructors, thread_locals and atexit handlers
//   last_waits running    exits while other threads wait
//   last_waits hello      says so, and ends
#include <waitprobe/wait_counter.h>

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "tests/runtime/recorder.h"

namespace {

test::Tally* tally = nullptr;

void wait_once() { STATIC_SCOPED_WAIT_COUNTER(last.wait); }

struct WaitsWhenDestroyed {
  ~WaitsWhenDestroyed() { wait_once(); }
};

// Made before the backend is registered, so destroyed behind everything that it could have registered to be destroyed.
WaitsWhenDestroyed first_static;
std::optional<waitprobe::WaitCounterHandle::WaitGuard> static_guard;
thread_local WaitsWhenDestroyed of_thread;
thread_local std::optional<waitprobe::WaitCounterHandle::WaitGuard> guard_of_thread;

// Behind the destructors of all statics and of the library.
__attribute__((destructor(101))) void report() {
  if (tally == nullptr) return;
  wait_once();
  char line[64];
  const int length =
      std::snprintf(line, sizeof line, "%d %d %d\n", tally->starts.load(), tally->stops.load(), tally->wrong.load());
  if (write(STDOUT_FILENO, line, static_cast<std::size_t>(length)) != length) _exit(1);
}

// A program that is started with a timer running, so that signals arrive while the library's constructor talks to the tool.
void tick(int) {}
void start_storm(int, char**, char** environment) {
  for (; *environment != nullptr; environment++) {
    if (std::strcmp(*environment, "LAST_WAITS_STORM=1") != 0) continue;
    struct sigaction action = {};
    action.sa_handler = tick;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval every_ms = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &every_ms, nullptr);
  }
}
__attribute__((section(".preinit_array"), used)) void (*const storm)(int, char**, char**) = start_storm;

void run_thread() {
  static pthread_key_t key;
  static const int made = pthread_key_create(&key, [](void*) { wait_once(); });
  if (made != 0) std::abort();
  pthread_setspecific(key, &key);
  (void)&of_thread;
  wait_once();
  guard_of_thread.emplace(STATIC_WAIT_COUNTER(last.wait).start());
}

void wait_at_odd_moments() {
  static_guard.emplace(STATIC_WAIT_COUNTER(last.wait).start());
  std::atexit(wait_once);
  std::at_quick_exit(wait_once);
  static WaitsWhenDestroyed in_function;
  run_thread();
  std::thread(run_thread).join();
}

void leave_threads_running() {
  static std::atomic<int> running{0};
  for (int i = 0; i < 4; i++) {
    std::thread([] {
      wait_once();
      running++;
      for (;;) std::thread(wait_once).join();
    }).detach();
  }
  while (running < 4) std::this_thread::yield();
}

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (std::strcmp(what, "hello") == 0) return write(STDOUT_FILENO, "hello\n", 6) == 6 ? 0 : 1;
  test::Tally& seen = test::Recorder::follow("last.").of("last.wait");
  if (std::strcmp(what, "statics") == 0) {
    tally = &seen;
    wait_at_odd_moments();
  } else {
    leave_threads_running();
  }
  return 0;
}
