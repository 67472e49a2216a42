// SPDX-License-Identifier: MIT
//
// What stacks_test.py builds in many ways: a wait whose stack is known. With -DPART=1 the program, with -DPART=2 a library that
// it calls through; with neither, both in one.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <waitprobe/wait_counter.h>

// Never a tail call, so that each has a frame of its own.
#define KEEP_FRAME asm volatile("")

namespace deep {

using Callback = void (*)(int);

#if !defined(PART) || PART == 2
__attribute__((noinline)) void through(Callback callback, int depth) {
  callback(depth);  // line of through
  KEEP_FRAME;
}
#else
void through(Callback callback, int depth);
#endif

#if !defined(PART) || PART == 1
namespace {

inline __attribute__((always_inline)) void inlined(int ms) {
  STATIC_SCOPED_WAIT_COUNTER(deep.wait);
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}  // line of inlined

__attribute__((noinline)) void only_here(int ms) {
  inlined(ms);  // line of only_here
  KEEP_FRAME;
}

}  // namespace

__attribute__((noinline)) void called_back(int ms) {
  only_here(ms);  // line of called_back
  KEEP_FRAME;
}
#endif

}  // namespace deep

#if !defined(PART) || PART == 1
int main(int argc, char** argv) {
  for (int i = 0; i < (argc > 1 ? std::atoi(argv[1]) : 1); i++) {
    deep::through(deep::called_back, 3);  // line of main
  }
  std::printf("done\n");
}
#endif
