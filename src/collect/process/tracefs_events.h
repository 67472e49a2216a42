// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "src/collect/process/target_choice.h"
#include "src/model/result.h"
#include "src/model/tracefs_event.h"

namespace waitprobe {

// The probes of single waits in the files of the targets, once for each file; no command is started. Errors: a target that was
// named is not there or carries no probes, its file has no path that tracefs takes, or an argument is in no register.
Result<TracefsEvents> tracefs_events(const TargetChoice& targets);

// The kernel's name of the register that an argument of a note is in, as "8@%rdi" has it. Empty: it is in none of 64 bits.
std::string register_of(const std::string& argument);

}  // namespace waitprobe
