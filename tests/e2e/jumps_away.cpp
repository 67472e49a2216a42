// SPDX-License-Identifier: MIT
#include <csetjmp>
#include <csignal>

#include "tests/e2e/jumps.h"

namespace jumps {
namespace {

thread_local sigjmp_buf back;

void jump_back() { siglongjmp(back, 1); }
void (*volatile away)() = jump_back;  // compilers must not see that it never returns

__attribute__((noinline)) void leave_first() {
  STATIC_SCOPED_WAIT_COUNTER(jumps.left.first);
  away();
}

__attribute__((noinline)) void leave_second() {
  STATIC_SCOPED_WAIT_COUNTER(jumps.left.second);
  away();
}

__attribute__((noinline)) void leave_third() {
  STATIC_SCOPED_WAIT_COUNTER(jumps.left.third);
  away();
}

__attribute__((noinline)) void go_down(int place, int depth) {
  if (depth == 0) return place == 0 ? leave_first() : place == 1 ? leave_second() : leave_third();
  go_down(place, depth - 1);
  asm volatile("" ::: "memory");  // no tail call: each has a frame
}

void leave_by_handler(int) {
  STATIC_SCOPED_WAIT_COUNTER(jumps.left.handler);
  away();
}

__attribute__((noinline)) void be_interrupted() {
  STATIC_SCOPED_WAIT_COUNTER(jumps.left.interrupted);
  std::raise(SIGUSR1);
}

}  // namespace

void leave(int place, int depth) {
  if (sigsetjmp(back, 0) == 0) go_down(place, depth);
}

void leave_handler() {
  std::signal(SIGUSR1, leave_by_handler);
  if (sigsetjmp(back, 1) == 0) be_interrupted();
}

void wait_around(void (*body)()) {
  STATIC_SCOPED_WAIT_COUNTER(jumps.around);
  body();
}

void wait_elsewhere() { STATIC_SCOPED_WAIT_COUNTER(jumps.elsewhere); }

}  // namespace jumps
