// SPDX-License-Identifier: MIT
//
// What must not compile, one misuse each: MISUSE is its number. 0 compiles, so that the others fail for their own reason.
#include <waitprobe/wait_counter.h>

void misuse();
void misuse() {
#if MISUSE == 0
  STATIC_SCOPED_WAIT_COUNTER(a.key);
#elif MISUSE == 1
  STATIC_SCOPED_WAIT_COUNTER("a.key");
#elif MISUSE == 2
  static_cast<void>(WITH_WAIT_COUNTER("a.key", 1));
#elif MISUSE == 3
  STATIC_WAIT_COUNTER("a.key").start().stop();
#elif MISUSE == 4
  STATIC_SCOPED_WAIT_COUNTER(u8"a.key");
#elif MISUSE == 5
  STATIC_SCOPED_WAIT_COUNTER(
      "a"
      ".key");
#endif
}
