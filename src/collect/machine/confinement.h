// SPDX-License-Identifier: MIT
#pragma once

#include "src/model/result.h"

namespace waitprobe {

// From now on this thread, and those that it starts, have no capability but those that tracing and reading need on this kernel,
// cannot gain any by starting a program, and cannot start one, trace another process by ptrace(), mount, load modules, set clocks
// or the like. For an agent that listens to the network. Errors: the kernel refuses. REQUIRES: no other threads yet.
Result<void> confine_to_tracing();

}  // namespace waitprobe
