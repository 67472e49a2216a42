// SPDX-License-Identifier: MIT
//
// The guard of the README in a program of its own.
#include <waitprobe/wait_counter.h>

#include <chrono>
#include <thread>

int main() {
  for (int i = 0; i < 100; i++) {
    STATIC_SCOPED_WAIT_COUNTER(db.pool.acquire);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}
