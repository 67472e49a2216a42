// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// A program started by the tool. It exists from prepare() on, as a process that runs nothing of its own until start().
//
// Lifetime: one that is never started is ended with its owner; one that has been goes on by itself.
class Command {
 public:
  // `environment` is added to the tool's own. `off_terminal`: those of its standard files that are terminals become /dev/null.
  // REQUIRES: `words` is not empty.
  static Result<Command> prepare(const std::vector<std::string>& words, const std::string& environment, bool off_terminal);

  std::uint32_t pid() const { return pid_; }

  // Runs the program. Errors: there is no such program, or it may not be run.
  Result<void> start();

  // By this signal; by SIGTERM if it ignores that, as what a script has put into the background does with SIGINT.
  void ask_to_end(int number) const;

  // Waits for its end. Its exit status, or 128 and the number of the signal that ended it.
  int wait();

 private:
  std::uint32_t pid_ = 0;
  std::string name_;
  FileDescriptor go_;      // closing it unwritten ends the waiting child
  FileDescriptor failed_;  // carries errno if the program could not be run
};

// Why a program could not be run, by errno.
Error start_error(const std::string& name, int why);

// Ignores, for the tool itself, what would end it in the middle of its output: a reader who has seen enough is no error, and a
// limit no reason to leave half a line behind. To be called once, first of all.
void ignore_signals();

// Puts dispositions and mask back to what ignore_signals() found. For a process that becomes another program.
void restore_signals();

}  // namespace waitprobe
