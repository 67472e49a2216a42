// SPDX-License-Identifier: MIT
//
// Loops to count the instructions of: idle_cost.py runs each under callgrind with two lengths.
#include <cstdlib>
#include <cstring>

#include <waitprobe/wait_counter.h>

extern "C" void opaque();  // opaque.cpp: the compiler cannot look into it here

namespace {

__attribute__((noinline)) void without(long rounds) {
  for (long i = 0; i < rounds; i++) opaque();
}

__attribute__((noinline)) void scope(long rounds) {
  for (long i = 0; i < rounds; i++) {
    STATIC_SCOPED_WAIT_COUNTER(bench.idle);
    opaque();
  }
}

__attribute__((noinline)) void function_with_scope() {
  STATIC_SCOPED_WAIT_COUNTER(bench.idle);
  opaque();
}

__attribute__((noinline)) void function(long rounds) {
  for (long i = 0; i < rounds; i++) function_with_scope();
}

__attribute__((noinline)) void function_without_scope() {
  opaque();
  asm volatile("");  // no tail call, which the guard would not allow either
}

__attribute__((noinline)) void plain_function(long rounds) {
  for (long i = 0; i < rounds; i++) function_without_scope();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const long rounds = std::atol(argv[2]);
  const struct {
    const char* name;
    void (*run)(long rounds);
  } loops[] = {{"without", without}, {"scope", scope}, {"plain_function", plain_function}, {"function", function}};
  for (const auto& loop : loops) {
    if (std::strcmp(argv[1], loop.name) == 0) {
      loop.run(rounds);
      return 0;
    }
  }
  return 2;
}
