/* SPDX-License-Identifier: MIT */
#include "tests/runtime/c_api.h"

static waitprobe_handle wait = WAITPROBE_HANDLE("c.wait");

waitprobe_wait *c_begin(void) { return waitprobe_start(&wait); }
void c_end(waitprobe_wait *begun) { waitprobe_stop(begun); }
int c_scope(int (*inside)(void)) {
  WAITPROBE_SCOPED("c.scope");
  WAITPROBE_SCOPED("c.scope");
  return inside();
}
