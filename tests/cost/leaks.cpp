// SPDX-License-Identifier: MIT
//
// leaks KIND N: begins N waits that never end, and then others that do, whose instructions leaks_cost.py counts.
#include <cstdlib>
#include <cstring>
#include <thread>

#include <waitprobe/c.h>
#include <waitprobe/wait_counter.h>

#include "tests/runtime/abandon.h"

namespace {

void one_place(long n) {
  for (long i = 0; i < n; i++) test::leave_behind(0);
}

void many_depths(long n) {
  for (long i = 0; i < n; i++) test::leave_behind(static_cast<int>(i * 7919 % 50));
}

// Of guards that nobody may judge, so all of them stay open.
void kept(long n) {
  static waitprobe_handle handle = WAITPROBE_HANDLE("cost.kept");
  for (long i = 0; i < n; i++) waitprobe_start(&handle);
}

__attribute__((noinline)) void wait_once() { STATIC_SCOPED_WAIT_COUNTER(cost.later); }

constexpr int rounds = 1'000;

__attribute__((noinline)) void in_same_thread() {
  for (int i = 0; i < rounds; i++) wait_once();
}

__attribute__((noinline)) void in_other_thread() {
  for (int i = 0; i < rounds; i++) wait_once();
  asm volatile("");  // not the same function as the one above
}

__attribute__((noinline)) void first_of_thread() {
  wait_once();
  asm volatile("");
}

constexpr struct {
  const char* name;
  void (*leave)(long n);
} kinds[] = {{"one-place", one_place}, {"many-depths", many_depths}, {"kept", kept}};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  for (const auto& kind : kinds) {
    if (std::strcmp(kind.name, argv[1]) == 0) kind.leave(std::atol(argv[2]));
  }
  // What happens once, does so before.
  wait_once();
  in_same_thread();
  std::thread([] {
    wait_once();
    in_other_thread();
  }).join();
  for (int i = 0; i < rounds; i++) std::thread(first_of_thread).join();
}
