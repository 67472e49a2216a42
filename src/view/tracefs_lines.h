// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "src/model/tracefs_event.h"

namespace waitprobe {

// Lines for uprobe_events that define the events in a group. Events of one name become one event with several places.
void print_definitions(std::ostream& out, const std::vector<TracefsEvent>& events, const std::string& group);

// Lines for uprobe_events that take all of them away again, of whichever files they are.
void print_removals(std::ostream& out, const std::string& group);

}  // namespace waitprobe
