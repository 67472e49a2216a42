// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "src/collect/process/seccomp_filter.h"
#include "bpf/slow_abi.h"

namespace waitprobe {

// A thread of somebody else that ptrace has seized, from its construction until it is let go. Nothing is left behind if the
// tool ends meanwhile. N.B. What has not stopped is let go when the thread that has seized it ends, and not before.
class SeizedThread {
 public:
  explicit SeizedThread(std::uint32_t tid);
  // What it had been sent goes on to it.
  ~SeizedThread();
  SeizedThread(const SeizedThread&) = delete;
  SeizedThread& operator=(const SeizedThread&) = delete;

  // If not, errno tells why: ESRCH, or that a debugger has it or the right is missing.
  bool is_ours() const { return is_ours_; }

  // False when it does not within 100 ms, because the kernel waits for something in its name.
  bool wait_until_stopped();

  // REQUIRES: stopped.
  bool read_registers(wp_regs& to) const;
  // All that it has. False when the right is missing (CAP_SYS_ADMIN), the tool has filters itself, or the kernel cannot tell.
  // REQUIRES: stopped.
  bool read_filters(std::vector<SeccompProgram>& to) const;

 private:
  pid_t tid_;
  int signal_ = 0;
  bool is_ours_ = false, is_stopped_ = false;
};

}  // namespace waitprobe
