// SPDX-License-Identifier: MIT
//
// All series at one moment: plain data, and the one thing that sources hand to views.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/model/caveats.h"
#include "src/model/histogram.h"
#include "src/model/losses.h"

namespace waitprobe {

// One process for good, of any machine.
struct ProcessId {
  std::string host;               // any bytes; empty: not from a recording
  std::uint64_t start_ticks = 0;  // as in /proc; tells apart two processes that had the same pid
  std::uint32_t pid = 0;
  auto operator<=>(const ProcessId&) const = default;
};

// One key in one process, by which its waits are found again.
struct SeriesId {
  std::string host;  // any bytes; empty: not from a recording
  std::uint32_t pid = 0;
  std::uint64_t process_start_ticks = 0;  // as in /proc; tells apart two processes that had the same pid
  std::string comm;                       // of the process, today; any bytes
  std::string key;                        // any bytes, the first WP_KEY_MAX of them
  std::uint64_t key_len = 0;              // of the whole key
  std::uint64_t distinct = 0;             // tells apart keys that are longer than what is kept of them

  // The processes of a program that have ended are added up where they are very many. They then have no pid, and their start is
  // a number of the program and the group.
  bool is_of_program() const { return pid == 0 && process_start_ticks != 0; }

  ProcessId process() const { return {host, process_start_ticks, pid}; }
};

// All but its name of today, which an exec changes; in the order of merge_series().
bool is_before(const SeriesId& a, const SeriesId& b);

struct Series : SeriesId {
  Histogram histogram;
  std::uint32_t parent_pid = 0;      // of a process that was forked and has run no other program since; else 0
  std::uint64_t process_cnt = 1;     // more where ended processes of a program are added up
  std::optional<std::string> group;  // of its process today, where processes are put in groups (groups.h); any bytes
};

// What further keys of a process are added up under, and further programs, where there are very many.
constexpr const char* other_keys = "(other keys)";
constexpr const char* other_programs = "(other programs)";

// As the ended processes of its program have it.
SeriesId id_in_program(const Series& s);
SeriesId id_in_other_programs();

// Which group a process is in, from now on.
struct ProcessGroup {
  ProcessId process;
  std::optional<std::string> group;  // any bytes
};

// How much of what happened was seen: all of it if nothing was lost.
struct Coverage {
  std::uint64_t observed = 0;
  std::uint64_t lost = 0;
};

struct Snapshot {
  std::uint64_t time_unix_ns = 0;       // when it was taken
  std::uint64_t elapsed_ns = 0;         // what it covers: since everything was attached, or of the interval
  std::vector<Series> series;           // without empty ones, in the order of merge_series()
  std::string group_by;                 // the environment variable whose values are the groups; empty: there are none
  std::vector<ProcessGroup> regrouped;  // of an interval: those that have waited before it, in another group
  std::uint64_t added_up_cnt = 0;       // processes that have ended, and are added up by program; not in recordings
  std::uint64_t left_out_cnt = 0;       // waits in series that keep_keys() left out: seen, though not here
  Losses losses;                        // of any key: what was lost has none
  std::uint64_t clamped_cnt = 0;        // waits whose clock went backwards, counted with a duration of 0
  std::uint64_t abandoned_cnt = 0;      // waits that were taken for such as a longjmp or so has left, which never end
  Caveats caveats;                      // of an interval: without processes that had ended before it
  bool has_pytorch = false;             // in a target: of its waits, only those that have a counter can be seen

  Coverage coverage() const;

  // Those that were abandoned: without those that have ended after all, which are losses.
  std::uint64_t never_ended_cnt() const { return abandoned_cnt > losses.stale ? abandoned_cnt - losses.stale : 0; }
};

// The waits between two snapshots of one session: series without any are left out. Figures that went back count as zero.
// REQUIRES: `earlier` was taken before `later`, and the same keys were left out of both.
Snapshot interval(const Snapshot& later, const Snapshot& earlier);

// Leaves out the series whose key matches none of the patterns (key_patterns.h), and keeps count of their waits. No patterns:
// all match.
void keep_keys(Snapshot& snapshot, const std::vector<std::string>& patterns);

// Puts series in order (host, process_start_ticks, pid, key), and together where the same key of the same process comes more
// than once (a counter in several instances of the library, several shards).
void merge_series(std::vector<Series>& series);

// Puts together what all processes have of a key, as the series of a process without number and name.
void add_up_processes(std::vector<Series>& series);

}  // namespace waitprobe
