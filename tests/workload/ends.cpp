// SPDX-License-Identifier: MIT
#include "tests/workload/ends.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using waitprobe::WaitCounterHandle;
using waitprobe::detail::LiteralKey;

// Handlers and late destructors must not allocate, so neither do these.
constinit WaitCounterHandle alarm_handle(LiteralKey{"alarm", 5});
constinit WaitCounterHandle tls_handle(LiteralKey{"late.tls", 8});
constinit WaitCounterHandle key_handle(LiteralKey{"late.key", 8});
constinit WaitCounterHandle atexit_handle(LiteralKey{"late.atexit", 11});

constinit std::atomic<std::uint64_t> alarm_waits{0};

void set_timer(std::uint32_t every_us) {
  const timeval every = {every_us / 1'000'000, every_us % 1'000'000};
  const itimerval timer = {every, every};
  if (setitimer(ITIMER_REAL, &timer, nullptr) != 0) std::abort();
}

void mask_alarm(int how) {
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(how, &alarm, nullptr);
}

std::uint64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib;
    if (word == "VmRSS:" && status >> kib) return kib;
  }
  return 0;
}

pthread_key_t key_before, key_after;
std::once_flag key_after_made;
char touched;

pthread_key_t make_key() {
  pthread_key_t key;
  if (pthread_key_create(&key, [](void*) { key_handle.start().stop(); }) != 0) std::abort();
  return key;
}

struct WaitsAtEnd {
  bool wanted = false;
  ~WaitsAtEnd() { tls_handle.start().stop(); }
};
thread_local WaitsAtEnd waits_at_end;

}  // namespace

Alarm::Alarm(std::uint32_t every_us) {
  mask_alarm(SIG_BLOCK);
  struct sigaction action = {};
  action.sa_handler = [](int) {
    alarm_handle.start().stop();
    alarm_waits.fetch_add(1, std::memory_order_relaxed);
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  set_timer(every_us);
}

Alarm::~Alarm() {
  set_timer(0);
  signal(SIGALRM, SIG_IGN);  // one may be pending
  mask_alarm(SIG_UNBLOCK);
}

std::uint64_t Alarm::waits() { return alarm_waits; }

Resident churn_threads(std::uint32_t cnt, Keys& keys, Truth& truth) {
  constexpr std::uint32_t at_a_time = 4;
  constexpr std::size_t waits_of_thread = 3;
  Resident resident;
  for (std::uint32_t started = 0; started < cnt;) {
    std::vector<std::thread> threads;
    const bool first_tenth = started < cnt / 10;
    for (const std::uint32_t end = std::min(cnt, started + at_a_time); started < end; started++) {
      threads.emplace_back([&keys, started] {
        for (std::size_t i = 0; i < waits_of_thread; i++) keys.handle((started + i) % keys.size()).start().stop();
      });
      for (std::size_t i = 0; i < waits_of_thread; i++) truth[keys.name((started + i) % keys.size())]++;
    }
    for (std::thread& thread : threads) thread.join();
    if (first_tenth && started >= cnt / 10) resident.before_kib = resident_kib();
  }
  resident.after_kib = resident_kib();
  return resident;
}

void prepare_late_guards() {
  key_before = make_key();
  std::atexit([] { atexit_handle.start().stop(); });
}

void wait_at_thread_exit() {
  std::call_once(key_after_made, [] { key_after = make_key(); });
  pthread_setspecific(key_before, &touched);
  pthread_setspecific(key_after, &touched);
  waits_at_end.wanted = true;
}

void add_late_guards(std::uint32_t threads, Truth& truth) {
  truth["late.tls"] += threads;
  truth["late.key"] += std::uint64_t{2} * threads;
  truth["late.atexit"] += 1;
}
