// SPDX-License-Identifier: MIT
#include "src/cli/recordings.h"

#include <iostream>
#include <utility>

#include "src/cli/output.h"
#include "src/collect/recording_reader.h"
#include "src/view/units.h"

namespace waitprobe::cli {
namespace {

// Says how far a recording goes that does not say so itself.
void warn_of_end(const Recording& recording) {
  const std::string reach = recording.intervals.empty()
                                ? "it holds no snapshot"
                                : "it holds " + std::to_string(recording.intervals.size()) + " snapshots, up to " +
                                      format_date_and_time(recording.end_unix_ns());
  if (!recording.stopped_why.empty()) {
    report(std::cerr,
           Error{"read all of", recording.file,
                 recording.stopped_why + ", after " + std::to_string(recording.read_bytes) + " bytes", reach},
           "warning: cannot");
  } else if (recording.end == RecordingEnd::missing) {
    report(std::cerr, Error{"find the end of", recording.file, "it is still being written, or was cut off", reach},
           "warning: cannot");
  }
}

}  // namespace

Result<Recordings> read_recordings(const std::vector<std::string>& files) {
  std::vector<Recording> recordings;
  for (const std::string& file : files) {
    auto recording = read_recording(file);
    if (!recording) return recording.error();
    warn_of_end(*recording);
    recordings.push_back(std::move(*recording));
  }
  return Recordings::merge(std::move(recordings));
}

}  // namespace waitprobe::cli
