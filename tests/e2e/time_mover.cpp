// SPDX-License-Identifier: MIT
//
// A process in a time namespace that is not that of its children to come: "unshare" makes one for these at once, a path is that
// of one which the process itself enters in the middle of its waits. Begins with a line on stdin, and stays until that ends.
#include <fcntl.h>
#include <sched.h>

#include <cstdio>
#include <cstring>

#include <waitprobe/wait_counter.h>

namespace {

void wait_often(int cnt) {
  for (int i = 0; i < cnt; i++) {
    STATIC_SCOPED_WAIT_COUNTER(mover.wait);
  }
}

bool await_line() {
  char line[16];
  return std::fgets(line, sizeof line, stdin) != nullptr;
}

void say(const char* what) {
  std::puts(what);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const bool stays = std::strcmp(argv[1], "unshare") == 0;
  if (stays && unshare(CLONE_NEWTIME) != 0) return 1;
  say("ready");
  if (!await_line()) return 1;
  wait_often(100);
  if (!stays && setns(open(argv[1], O_RDONLY | O_CLOEXEC), CLONE_NEWTIME) != 0) return 1;
  wait_often(107);
  say("done");
  await_line();
}
