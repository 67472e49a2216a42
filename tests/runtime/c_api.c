/* SPDX-License-Identifier: MIT */
#include "tests/runtime/c_api.h"

static waitprobe_handle wait = WAITPROBE_HANDLE("c.wait");

waitprobe_wait *c_begin(void) { return waitprobe_start(&wait); }
void c_end(waitprobe_wait *begun) { waitprobe_stop(begun); }
void c_classes(void) {
  static waitprobe_handle idle = WAITPROBE_IDLE_HANDLE("c.idle");
  static waitprobe_handle work = WAITPROBE_WORK_HANDLE("c.work");
  WAITPROBE_SCOPED_IDLE("c.idle_scope");
  WAITPROBE_SCOPED_WORK("c.work_scope");
  waitprobe_stop(waitprobe_start(&idle));
  waitprobe_stop(waitprobe_start(&work));
}
int c_scope(int (*inside)(void)) {
  WAITPROBE_SCOPED("c.scope");
  WAITPROBE_SCOPED("c.scope");
  return inside();
}
