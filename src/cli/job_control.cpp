// SPDX-License-Identifier: MIT
#include "src/cli/job_control.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <initializer_list>

namespace waitprobe::cli {
namespace {

constexpr timespec shortly = {0, 50'000'000};

int terminal = -1;  // the controlling one

bool must_end() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGHUP) == 1;
}

// A terminal that has gone has no foreground; the kernel lets its files fail.
bool is_in_background() {
  const pid_t foreground = tcgetpgrp(terminal);
  return foreground >= 0 && foreground != getpgrp();
}

// Runs in the middle of the call that the terminal refuses, which is then done again.
void on_refusal(int) {
  const int error = errno;
  while (is_in_background() && !must_end()) nanosleep(&shortly, nullptr);
  if (must_end()) {
    // Then the terminal refuses nothing but to be read.
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
  }
  errno = error;
}

}  // namespace

void wait_in_background() {
  if (terminal >= 0) return;
  terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return;
  for (const int number : {SIGTTOU, SIGTTIN}) {
    struct sigaction action;
    // Whoever ignores it is refused nothing.
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action = {};
    action.sa_handler = on_refusal;
    action.sa_flags = SA_RESTART;
    sigaction(number, &action, nullptr);
  }
}

bool is_in_foreground(int fd) { return tcgetpgrp(fd) == getpgrp(); }

}  // namespace waitprobe::cli
