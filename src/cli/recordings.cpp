// SPDX-License-Identifier: MIT
#include "src/cli/recordings.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "src/cli/output.h"
#include "src/recording/recording_reader.h"
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

std::string files_text(const std::vector<Recording>& recordings) {
  const std::size_t others = recordings.size() - 1;
  return recordings.front().file + (others == 0 ? "" : " and " + std::to_string(others) + " more");
}

constexpr std::uint64_t most_gap_columns = 100;

// Columns for a time in which nothing was recorded, between two runs.
void add_gap(History& history, std::uint64_t until_unix_ns, std::uint64_t column_ns) {
  if (history.columns.empty()) return;
  const std::uint64_t from_unix_ns = history.columns.back().end_unix_ns;
  if (until_unix_ns < from_unix_ns) return;
  const std::uint64_t missing = std::min<std::uint64_t>((until_unix_ns - from_unix_ns) / column_ns, most_gap_columns);
  for (std::uint64_t i = 1; i <= missing; i++) {
    Snapshot nothing;
    nothing.time_unix_ns = from_unix_ns + i * column_ns;
    add_column(history, std::move(nothing));
  }
}

RecordedTimes times_of(const Recordings& recordings) {
  RecordedTimes recorded{recordings.begin_unix_ns(), recordings.end_unix_ns(), {}};
  for (const Recording& recording : recordings.all()) {
    for (const RecordedInterval& one : recording.intervals) recorded.middles_ns.push_back(one.middle_unix_ns());
  }
  std::sort(recorded.middles_ns.begin(), recorded.middles_ns.end());
  return recorded;
}

Error holds_nothing(const Recordings& recordings, const Window& window, const RecordedTimes& recorded) {
  const std::string from = format_date_and_time(window.from_ns), to = format_date_and_time(window.to_ns);
  const std::string then = window.from_ns == 0             ? "up to " + to
                           : window.to_ns == UINT64_MAX    ? "from " + from + " on"
                           : window.from_ns < window.to_ns ? "from " + from + " to " + to
                                                           : "from " + from + " to " + to + ", which is not later";
  const std::size_t intervals = recorded.middles_ns.size();
  return {"look at", "this part of " + files_text(recordings.all()), "nothing was recorded " + then,
          "what was recorded is from " + format_date_and_time(recorded.begin_ns) + " to " +
              format_date_and_time(recorded.end_ns) + ", " + format_duration(recorded.end_ns - recorded.begin_ns) + " in " +
              std::to_string(intervals) + (intervals == 1 ? " interval" : " intervals")};
}

}  // namespace

Result<Recordings> read_recordings(const std::vector<std::string>& files) {
  std::vector<Recording> recordings;
  for (const std::string& file : files) {
    auto recording = read_recording(file);
    if (!recording) return recording.error();
    recordings.push_back(std::move(*recording));
  }
  const bool holds_any = std::any_of(recordings.begin(), recordings.end(),
                                     [](const Recording& recording) { return !recording.intervals.empty(); });
  if (!holds_any) {
    const auto broken = std::find_if(recordings.begin(), recordings.end(),
                                     [](const Recording& recording) { return !recording.stopped_why.empty(); });
    const std::string why = broken != recordings.end() ? ": " + broken->stopped_why : "";
    return Error{"look at", files_text(recordings), "there is no snapshot in it" + why,
                 "the first is written when the first interval ends (record -i)"};
  }
  for (const Recording& recording : recordings) warn_of_end(recording);
  return Recordings::merge(std::move(recordings));
}

Result<Span> span_of(const Recordings& recordings, const MomentSpan& wanted) {
  if (wanted.is_all()) return Span{};
  const RecordedTimes recorded = times_of(recordings);
  const Window window = resolve(wanted, recorded);
  const bool holds_any = std::any_of(recorded.middles_ns.begin(), recorded.middles_ns.end(),
                                     [&](std::uint64_t middle_ns) { return window.holds(middle_ns); });
  if (!holds_any) return holds_nothing(recordings, window, recorded);
  const auto after_begin = [&](std::uint64_t at_ns) { return at_ns > recorded.begin_ns ? at_ns - recorded.begin_ns : 0; };
  return Span{after_begin(window.from_ns), window.to_ns == UINT64_MAX ? UINT64_MAX : after_begin(window.to_ns)};
}

Result<History> history_of(Recordings& recordings, const Span& span, const std::vector<KeyGlobs>& key_globs,
                           const ClassGlobs& class_globs, bool with_gaps) {
  History history;
  recordings.rewind();
  const auto all =
      for_each_interval(recordings, {span.from_ns, span.to_ns, UINT64_MAX}, [&](Snapshot snapshot) -> Result<bool> {
        classify(snapshot, class_globs);
        for (const KeyGlobs& globs : key_globs) keep_keys(snapshot, globs);
        history = begin_history(std::move(snapshot));
        return true;
      });
  if (!all) return all.error();
  recordings.rewind();
  const auto columns = for_each_interval(recordings, span, [&](Snapshot snapshot) -> Result<bool> {
    if (snapshot.elapsed_ns == 0) return true;
    if (with_gaps) add_gap(history, snapshot.time_unix_ns - snapshot.elapsed_ns, span.interval_ns);
    add_column(history, std::move(snapshot));
    return true;
  });
  if (!columns) return columns.error();
  return history;
}

}  // namespace waitprobe::cli
