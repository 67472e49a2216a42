// SPDX-License-Identifier: MIT
#include <waitprobe/wait_counter.h>

#include <string>

int main() {
  for (int i = 0; i < 1000; i++) {
    STATIC_SCOPED_WAIT_COUNTER(consumer.scope);
  }
  waitprobe::WaitCounterHandle handle(std::string("consumer.") + "handle");
  for (int i = 0; i < 10; i++) handle.start().stop();
}
