// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/model/recording.h"
#include "src/model/result.h"
#include "src/model/snapshot_source.h"

namespace waitprobe {

// Recordings, of several machines or several runs, as one source. It begins with the first of them and ends with the last.
class Recordings : public SnapshotSource {
 public:
  // Errors: two recordings hold the same waits. REQUIRES: not empty.
  static Result<Recordings> merge(std::vector<Recording> recordings);

  std::uint64_t begin_unix_ns() const { return begin_ns_; }
  std::uint64_t end_unix_ns() const { return end_ns_; }
  const std::vector<Recording>& all() const { return recordings_; }

  // Puts processes in the groups that they were in, from now on: those of this environment variable. Errors: it was not
  // recorded, in one of them.
  Result<void> group_by(const std::string& variable);

  // An interval that was recorded belongs to the moment that its middle does not come after: moments are as fine as the
  // recording. What is covered is the time in which at least one of them was recorded.
  Totals totals_at(std::uint64_t elapsed_ns) override;

  // Begins again.
  void rewind();

 private:
  struct Cursor {
    std::size_t next = 0;               // which of Recording::intervals
    std::vector<Histogram> histograms;  // of each of Recording::series, up to there
  };

  explicit Recordings(std::vector<Recording> recordings);
  // The recording whose next interval ends first; the number of recordings when all have come to their end.
  std::size_t earliest() const;
  void take(std::size_t which);

  std::vector<Recording> recordings_;
  std::uint64_t begin_ns_ = UINT64_MAX;
  std::uint64_t end_ns_ = 0;
  std::vector<Cursor> cursors_;
  Snapshot so_far_;  // but for the series
  std::uint64_t covered_until_ns_ = 0;
  std::string group_by_;                                    // empty: by nothing
  std::map<ProcessId, std::optional<std::string>> groups_;  // of today
};

}  // namespace waitprobe
