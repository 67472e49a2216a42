// SPDX-License-Identifier: MIT
//
// Waits that are left by longjmp, and those that must not be taken for them, for longjmp_test.py: jumps KIND NUMBER [stay].
// Prints how many waits have ended by key, and how many were left; with "stay", it then does what its standard input says.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "tests/e2e/jumps.h"
#include "tests/runtime/suspended.h"

namespace {

std::map<std::string, long> ended;
long left = 0;

void one_place(long n) {
  for (long i = 0; i < n; i++) jumps::leave(0, 0);
  left = n;
}

void many_places(long n) {
  for (long i = 0; i < n; i++) jumps::leave(static_cast<int>(i % 3), static_cast<int>(i * 7919 % 50));
  left = n;
}

void ever_deeper(long n) {
  for (long i = 0; i < n; i++) jumps::leave(0, static_cast<int>(i));
  left = n;
}

void ever_higher(long n) {
  for (long i = n; i-- != 0;) jumps::leave(0, static_cast<int>(i));
  left = n;
}

void threads(long n) {
  for (long i = 0; i < n; i++) {
    std::thread([] {
      for (int depth = 0; depth < 3; depth++) jumps::leave(0, depth);
      jumps::wait_around([] {});
    }).join();
  }
  left = 3 * n;
  ended["jumps.around"] = n;
}

// Guards that live are among those that are left.
void inside_others(long n) {
  static long rounds;
  rounds = n;
  jumps::wait_around([] {
    for (long i = 0; i < rounds; i++) {
      jumps::leave(0, static_cast<int>(i % 20));
      jumps::wait_around([] {
        jumps::leave(1, 0);
        jumps::wait_around([] {});
      });
    }
  });
  left = 2 * n;
  ended["jumps.around"] = 2 * n + 1;
}

void handlers(long n) {
  for (long i = 0; i < n; i++) jumps::leave_handler();
  left = 2 * n;
}

void exceptions(long n) {
  for (long i = 0; i < n; i++) {
    try {
      jumps::wait_around([] { throw 1; });
    } catch (int) {
    }
  }
  ended["jumps.around"] = n;
}

test::Task wait_in_coroutine() {
  STATIC_SCOPED_WAIT_COUNTER(jumps.coroutine);
  co_await std::suspend_always{};
}

void coroutines(long n) {
  for (int round = 0; round < 3; round++) test::run_coroutines(n, wait_in_coroutine);
  ended["jumps.coroutine"] = 3 * n;
}

void wait_in_fibre() { jumps::wait_around(test::leave_fibre); }

void fibres(long n) {
  for (int round = 0; round < 3; round++) test::run_fibres(n, wait_in_fibre);
  ended["jumps.around"] = 3 * n;
}

// Guards that may be kept anywhere, so nobody takes them for gone. The thread goes on.
void never_stopped(long n) {
  static waitprobe_handle handle = WAITPROBE_HANDLE("jumps.kept");
  for (long i = 0; i < n; i++) waitprobe_start(&handle);
  for (int i = 0; i < 77; i++) jumps::wait_around([] {});
  ended["jumps.around"] = 77;
}

constexpr struct {
  const char* name;
  void (*run)(long n);
} kinds[] = {
    {"one-place", one_place},
    {"many-places", many_places},
    {"ever-deeper", ever_deeper},
    {"ever-higher", ever_higher},
    {"threads", threads},
    {"inside-others", inside_others},
    {"handlers", handlers},
    {"exceptions", exceptions},
    {"coroutines", coroutines},
    {"fibres", fibres},
    {"never-stopped", never_stopped},
};

void run(const char* name, long n) {
  for (const auto& kind : kinds) {
    if (std::strcmp(kind.name, name) == 0) return kind.run(n);
  }
  std::exit(2);
}

void print_truth() {
  std::printf("{\"left\":%ld,\"keys\":{", left);
  const char* comma = "";
  for (const auto& [key, cnt] : ended) std::printf("%s\"%s\":%ld", std::exchange(comma, ","), key.c_str(), cnt);
  std::puts("}}");
  std::fflush(stdout);
}

char** arguments;

void leave_again() { run(arguments[1], std::atol(arguments[2])); }

// By bytes: w, a wait of another thread; l, others are left as before; o, one is open from now on.
void stay() {
  for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
    if (byte == 'w') std::thread(jumps::wait_elsewhere).join();
    if (byte == 'l') leave_again();
    std::puts("done");
    std::fflush(stdout);
    if (byte == 'o') jumps::wait_around(stay);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  run(argv[1], std::atol(argv[2]));
  std::thread([] {
    for (int i = 0; i < 1'000; i++) jumps::wait_elsewhere();
  }).join();
  ended["jumps.elsewhere"] = 1'000;
  print_truth();
  if (argc == 3) return 0;
  arguments = argv;
  stay();
}
