// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/recording.h"

namespace waitprobe {

// "web1, Linux 6.1, 2026-11-25 15:51:25 to 15:51:28 (3.25s), UTC+01:00: -p 17", any bytes.
std::string describe_recording(const Recording& recording, std::uint64_t from_unix_ns, std::uint64_t to_unix_ns);
// The same in three lines: the machine, the times, and the targets.
std::vector<std::string> recording_lines(const Recording& recording, std::uint64_t from_unix_ns, std::uint64_t to_unix_ns);

// A line for each recording: which machine, whom, from when to when.
void print_recordings(std::ostream& out, const std::vector<Recording>& recordings);

}  // namespace waitprobe
