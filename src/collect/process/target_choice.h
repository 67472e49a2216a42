// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace waitprobe {

// Whose waits are counted: exactly one of these.
struct TargetChoice {
  std::vector<std::uint32_t> pids;       // these processes, until all have ended
  bool are_named = false;                // found by their names: those that have ended by now are left out, unless all have
  bool all = false;                      // every process on the machine, those that start later too
  std::string file;                      // every process that maps this file, now or later
  std::vector<std::string> command;      // to be started; with all its descendants, until it ends
  bool is_forced = false;                // attach even if that kills a process
  std::uint32_t max_series = 0;          // histograms in the kernel; 0: as many as usual
  bool command_is_off_terminal = false;  // what would be on the terminal of the tool goes to /dev/null, and comes from there
};

}  // namespace waitprobe
