// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <optional>

#include "src/cli/job_control.h"
#include "src/collect/machine/file_descriptor.h"

namespace waitprobe::cli {

// Makes the signals that ask the tool to end (SIGINT, SIGTERM, SIGHUP) readable from a file descriptor. REQUIRES: no other
// threads yet.
class StopSignals {
 public:
  StopSignals() {
    sigset_t set;
    sigemptyset(&set);
    // Also where it was ignored: a shell does so for whatever its scripts put into the background, and `kill -INT $!` is how
    // those end a tracer.
    sigaddset(&set, SIGINT);
    for (const int number : {SIGTERM, SIGHUP}) {
      struct sigaction action;
      // Whoever started us may want us to ignore it, as nohup does.
      if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, number);
    }
    sigprocmask(SIG_BLOCK, &set, nullptr);
    wait_in_background();
    signals_ = FileDescriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  int fd() const { return signals_.get(); }

  struct Signal {
    int number;
    bool sent_to_all;  // by the terminal, so that a command we started has it too
  };

  std::optional<Signal> take() const {
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
    return Signal{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
  }

 private:
  FileDescriptor signals_;
};

}  // namespace waitprobe::cli
