/* SPDX-License-Identifier: MIT */
#include <waitprobe/c.h>

static waitprobe_handle in_file = WAITPROBE_HANDLE("c.in_file");

int use_all(int n);
int use_all(int n) {
  static waitprobe_handle in_function = WAITPROBE_HANDLE("c.in_function");
  waitprobe_wait *outer = waitprobe_start(&in_file);
  int i; /* before the loop: C89 */
  for (i = 0; i < n; i++) waitprobe_stop(waitprobe_start(&in_function));
  waitprobe_stop(outer);
  return n;
}
