// SPDX-License-Identifier: MIT
//
// What `record` keeps: who was looked at, and interval after interval what they waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

// The first line of a recording. All text may be any bytes.
struct RecordingHeader {
  std::string version;             // of the waitprobe that wrote it
  std::uint64_t time_unix_ns = 0;  // from when on it counts
  std::string host;
  std::string boot;                    // tells apart two boots of a host
  std::string kernel;                  // its release
  std::string machine;                 // its architecture
  std::vector<std::string> targets;    // as they were given on the command line
  std::vector<std::string> key_globs;  // none: all keys
  std::string group_by;                // the environment variable that processes are put in groups by; empty: none
};

inline constexpr std::uint64_t recording_format = 2;

// Why a recording came to its end.
enum class RecordingEnd { missing, stopped, time_was_up, targets_ended };

// As they stand in the file.
inline constexpr const char* end_names[] = {"", "stopped", "time was up", "targets ended"};

// The waits of a series in one interval.
struct RecordedWaits {
  std::size_t series = 0;  // which of Recording::series
  SparseHistogram histogram;
};

// Whatever is not in a series is that of a Snapshot.
struct RecordedInterval {
  std::uint64_t end_unix_ns = 0;  // by the clock of its machine, but at least `elapsed_ns` after the interval before
  std::uint64_t elapsed_ns = 0;
  std::vector<RecordedWaits> waits;
  std::uint64_t left_out_cnt = 0;
  Losses losses;
  std::uint64_t clamped_cnt = 0;
  std::uint64_t abandoned_cnt = 0;
  Caveats caveats;
  bool has_pytorch = false;
  std::vector<ProcessGroup> groups;  // of processes that are in another one than before

  // By which it belongs to one moment or another.
  std::uint64_t middle_unix_ns() const { return end_unix_ns - elapsed_ns / 2; }
};

struct Recording {
  std::string file;  // as it was named; any bytes
  RecordingHeader header;
  std::vector<SeriesId> series;
  std::vector<RecordedInterval> intervals;
  RecordingEnd end = RecordingEnd::missing;
  std::uint64_t read_bytes = 0;  // of whole lines that were understood
  std::string stopped_why;       // why reading stopped before the end of the file; empty: it did not

  std::uint64_t begin_unix_ns() const { return header.time_unix_ns; }
  std::uint64_t end_unix_ns() const { return intervals.empty() ? header.time_unix_ns : intervals.back().end_unix_ns; }
};

}  // namespace waitprobe
