/* SPDX-License-Identifier: MIT */
#include <waitprobe/c.h>

static waitprobe_handle in_file = WAITPROBE_HANDLE("c.in_file");
static waitprobe_handle idle = WAITPROBE_IDLE_HANDLE("c.idle");
static waitprobe_handle work = WAITPROBE_WORK_HANDLE("c.work");

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L
int use_scopes(int n);
int use_scopes(int n) {
  WAITPROBE_SCOPED("c.scope");
  WAITPROBE_SCOPED("c.two_in_one_scope");
  WAITPROBE_SCOPED_IDLE("c.idle_scope");
  WAITPROBE_SCOPED_WORK("c.work_scope");
  for (int i = 0; i < n; i++) {
    WAITPROBE_SCOPED("c.nested");
    if (i == 7) return i;
  }
  return n;
}
#endif

int use_all(int n);
int use_all(int n) {
  static waitprobe_handle in_function = WAITPROBE_HANDLE("c.in_function");
  waitprobe_wait *outer = waitprobe_start(&in_file);
  int i; /* before the loop: C89 */
  for (i = 0; i < n; i++) waitprobe_stop(waitprobe_start(&in_function));
  waitprobe_stop(outer);
  waitprobe_stop(waitprobe_start(&idle));
  waitprobe_stop(waitprobe_start(&work));
  if (waitprobe_is_armed()) waitprobe_end(waitprobe_begin(waitprobe_make_key("c.made", 6, WAITPROBE_CLASS_WAIT)));
  return n;
}
