// SPDX-License-Identifier: MIT
//
// Time namespaces: CLOCK_MONOTONIC and CLOCK_BOOTTIME of the processes in one are ahead of the machine's by offsets that never
// change while anybody is in it. BPF programs see the machine's clocks; what a process writes down is of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/model/result.h"

namespace waitprobe {

// How far the clocks are ahead of the machine's, in two's complement: add it to the machine's time.
struct TimeOffsets {
  std::uint64_t monotonic_ns = 0;
  std::uint64_t boottime_ns = 0;
};

// Of the text of /proc/PID/timens_offsets. Nothing when it is something else.
std::optional<TimeOffsets> parse_time_offsets(const std::string& text);

// Of the clocks that a process reads. Nothing when it has ended, or when this user may not find out. It may move to another
// namespace at any time; what it has written before this call began is of this one or of an earlier one.
std::optional<TimeOffsets> time_offsets_of(std::uint32_t pid);

// Of our own clocks, which stay in the namespace that we were started in.
std::optional<TimeOffsets> own_time_offsets();
Error unknown_time_error();

// A process's CLOCK_MONOTONIC less ours. Known also where neither's offset is: in the same namespace it is 0.
std::optional<std::uint64_t> monotonic_ahead_of_ours(std::uint32_t pid);

}  // namespace waitprobe
