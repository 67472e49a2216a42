// SPDX-License-Identifier: MIT
#include "src/view/recording_lines.h"

#include <string>

#include "src/view/escape.h"
#include "src/view/units.h"

namespace waitprobe {

std::vector<std::string> recording_lines(const Recording& recording, std::uint64_t from_unix_ns, std::uint64_t to_unix_ns) {
  std::string targets;
  for (const std::string& word : recording.header.targets) targets += (targets.empty() ? "" : " ") + word;
  return {recording.header.host + ", " + recording.header.kernel,
          format_date_and_time(from_unix_ns) + " to " + format_time_of_day(to_unix_ns) + " (" +
              format_duration(to_unix_ns - from_unix_ns) + "), " + format_time_zone(to_unix_ns),
          targets};
}

std::string describe_recording(const Recording& recording, std::uint64_t from_unix_ns, std::uint64_t to_unix_ns) {
  const std::vector<std::string> lines = recording_lines(recording, from_unix_ns, to_unix_ns);
  return lines[0] + ", " + lines[1] + ":" + (lines[2].empty() ? "" : " " + lines[2]);
}

void print_recordings(std::ostream& out, const std::vector<Recording>& recordings) {
  for (const Recording& recording : recordings) {
    out << escape(describe_recording(recording, recording.begin_unix_ns(), recording.end_unix_ns())) << '\n';
  }
  out << '\n';
}

}  // namespace waitprobe
