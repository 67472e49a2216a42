// SPDX-License-Identifier: MIT
//
// Waits from the first moment on: before main(), in it, and after it.
#include <waitprobe/wait_counter.h>

namespace {

void wait_once() { STATIC_SCOPED_WAIT_COUNTER(first.wait); }

struct Early {
  Early() { wait_once(); }
  ~Early() { wait_once(); }
} early;

}  // namespace

int main() {
  for (int i = 0; i < 21; i++) wait_once();
}
