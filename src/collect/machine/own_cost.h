// SPDX-License-Identifier: MIT
#pragma once

#include "src/model/agent_state.h"

namespace waitprobe {

// What this process takes from its machine, as far as it can be read, without the time of its BPF programs. Takes about a
// millisecond. Threads: any.
AgentCost own_cost();

// When this process started, in nanoseconds since the epoch; 0: not known.
std::uint64_t own_start_unix_ns();

}  // namespace waitprobe
