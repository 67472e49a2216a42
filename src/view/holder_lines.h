// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/open_wait.h"
#include "src/view/emphasis.h"

namespace waitprobe {

// "sleeping in futex (futex_wait_queue)"; empty when the kernel has said nothing.
std::string state_text(char state, const std::string& system_call, const std::string& wchan);

// Who holds the mutex that the thread of a wait waits for, and so on; what the last of them does; the stack of the first. Where they
// end in a deadlock, only the first: print_deadlocks() shows the others.
void print_holders(std::ostream& out, const OpenWaits& found, const OpenWait& wait, std::size_t indent, std::size_t width,
                   Colours colours);

// "deadlock in bank (17): a (18) waits for b (19) waits for a (18)", in as many lines as it takes.
void print_deadlocks(std::ostream& out, const std::vector<OpenWaits::Deadlock>& deadlocks, std::size_t width, Colours colours);

// Threads in uninterruptible sleep that have no guard.
void print_sleepers(std::ostream& out, const std::vector<OpenWaits::Sleeper>& sleepers, std::size_t width);

}  // namespace waitprobe
