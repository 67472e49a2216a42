// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/model/agent_state.h"

namespace waitprobe {

// What an agent is doing, as a page of HTML that loads nothing.
std::string agent_page(const AgentState& state);

}  // namespace waitprobe
