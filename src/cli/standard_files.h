// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <initializer_list>

namespace waitprobe::cli {

// Takes the numbers of standard files that whoever started us has closed, so that no file that is opened later gets one of them
// and is written to as if it were the standard output. What stands there can neither be read nor written (EBADF), as if it were
// closed; a command that we start finds it closed. To be called before anything is opened.
inline void take_standard_files() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/", O_PATH | O_CLOEXEC);  // gets the lowest number that is free
  }
}

}  // namespace waitprobe::cli
