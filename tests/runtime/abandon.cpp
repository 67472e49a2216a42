// SPDX-License-Identifier: MIT
#include "tests/runtime/abandon.h"

#include <csetjmp>
#include <cstdint>

#include <waitprobe/wait_counter.h>

#include "src/runtime/thread_state.h"

namespace test {
namespace {

thread_local jmp_buf back;

void jump_back() { std::longjmp(back, 1); }
void (*volatile leave)() = jump_back;  // compilers must not see that it never returns

__attribute__((noinline)) void go_down(int depth) {
  if (depth > 0) {
    go_down(depth - 1);
    asm volatile("" ::: "memory");  // no tail call: each has a frame
    return;
  }
  STATIC_SCOPED_WAIT_COUNTER(abandoned.left);
  leave();
}

std::uint32_t stack_address(const void* address) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(address)) | 1;
}

__attribute__((noinline)) void be_inside_below() {
  waitprobe::detail::this_thread.inside = stack_address(__builtin_frame_address(0)) - 65536;  // sanitizers have large frames
}

}  // namespace

void wait_around(void (*body)()) {
  STATIC_SCOPED_WAIT_COUNTER(abandoned.around);
  body();
}

void leave_behind(int depth) {
  if (setjmp(back) == 0) go_down(depth);
}

void recurse(int depth) {
  STATIC_SCOPED_WAIT_COUNTER(abandoned.recursion);
  if (depth > 0) recurse(depth - 1);
}

void pretend_to_be_inside(bool was_left) {
  if (was_left) return be_inside_below();
  waitprobe::detail::this_thread.inside = stack_address(__builtin_frame_address(0)) + 4096;
}

}  // namespace test
