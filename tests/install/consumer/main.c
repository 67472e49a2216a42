/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <waitprobe/c.h>

static void scope(void) { WAITPROBE_SCOPED("consumer.scope"); }

int main(void) {
  const char key[] = "consumer.handle";
  waitprobe_key *made = waitprobe_make_key(key, strlen(key), WAITPROBE_CLASS_WAIT);
  int i;
  for (i = 0; i < 1000; i++) scope();
  for (i = 0; i < 10; i++) waitprobe_end(waitprobe_begin(made));
  return 0;
}
