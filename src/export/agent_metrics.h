// SPDX-License-Identifier: MIT
//
// All metrics of an agent. A pure function; safe on any thread as long as nobody changes what it reads.
#pragma once

#include "src/model/agent_state.h"
#include "src/model/metrics.h"
#include "src/model/wait_totals.h"

namespace waitprobe {

// Names, units and labels are an interface: docs/metrics.md lists them. Open waits have as many sets of labels as waits may have
// at most, shared among programs in the same way; the oldest come first.
Metrics agent_metrics(const AgentState& state, const WaitTotals& waits);

}  // namespace waitprobe
