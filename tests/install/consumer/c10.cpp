// SPDX-License-Identifier: MIT
#include <c10/util/WaitCounter.h>

int main() {
  for (int i = 0; i < 1000; i++) {
    STATIC_SCOPED_WAIT_COUNTER(consumer.scope);
  }
  c10::monitor::WaitCounterHandle handle("consumer.handle");
  for (int i = 0; i < 10; i++) handle.start().stop();
}
