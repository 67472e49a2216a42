// SPDX-License-Identifier: MIT
#include "src/view/recording_lines.h"

#include <string>

#include "src/view/escape.h"
#include "src/view/units.h"

namespace waitprobe {

void print_recordings(std::ostream& out, const std::vector<Recording>& recordings) {
  for (const Recording& recording : recordings) {
    const RecordingHeader& header = recording.header;
    std::string targets;
    for (const std::string& word : header.targets) targets += " " + word;
    const std::uint64_t length_ns = recording.end_unix_ns() - recording.begin_unix_ns();
    out << escape(header.host) << ", " << escape(header.kernel) << ", " << format_date_and_time(recording.begin_unix_ns())
        << " to " << format_time_of_day(recording.end_unix_ns()) << " (" << format_duration(length_ns)
        << "):" << escape(targets) << '\n';
  }
  out << '\n';
}

}  // namespace waitprobe
