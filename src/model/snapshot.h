// SPDX-License-Identifier: MIT
//
// All series at one moment: plain data, and the one thing that sources hand to views.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "src/model/histogram.h"

namespace waitprobe {

// One key in one process.
struct Series {
  std::uint32_t pid = 0;
  std::uint64_t process_start_ticks = 0;  // as in /proc; tells apart two processes that had the same pid
  std::string comm;                       // of the process; any bytes
  std::string key;                        // any bytes, the first WP_KEY_MAX of them
  std::uint64_t key_len = 0;              // of the whole key
  std::uint64_t distinct = 0;             // tells apart keys that are longer than what is kept of them
  Histogram histogram;
};

// Waits that happened while attached and are not in the series, by cause. Each cause is raised at the line that gives up.
struct Losses {
  std::uint64_t series_full = 0;  // the kernel had no histogram left for a new series
  std::uint64_t gap = 0;          // overwritten before they were fetched
  std::uint64_t late = 0;         // ended after their thread's block was handed back, and found no other
  std::uint64_t reentered = 0;    // of a signal handler that interrupted the start or the stop of another
  std::uint64_t unreadable = 0;   // their counter could not be read from the process's memory
  std::uint64_t no_memory = 0;    // the process had no memory to follow them
  std::uint64_t blocks_full = 0;  // the kernel had no room for one more thread block
  std::uint64_t missed = 0;       // ends of threads that the kernel did not tell of; each counts as one wait at the least
  std::uint64_t unfollowed = 0;   // children of a target for which there was no room; each counts as one wait at the least
  std::uint64_t ring_full = 0;    // the tool did not read as fast as slow waits came

  std::uint64_t sum() const;
};

// All members of Losses, for whoever goes over them.
inline constexpr std::uint64_t Losses::*all_losses[] = {
    &Losses::series_full, &Losses::gap,         &Losses::late,   &Losses::reentered,  &Losses::unreadable,
    &Losses::no_memory,   &Losses::blocks_full, &Losses::missed, &Losses::unfollowed, &Losses::ring_full,
};
static_assert(sizeof(Losses) == std::size(all_losses) * sizeof(std::uint64_t), "a loss is missing above");

// How much of what happened was seen: all of it if nothing was lost.
struct Coverage {
  std::uint64_t observed = 0;
  std::uint64_t lost = 0;
};

// A file whose probes could be attached only after a process had it mapped and others were being counted: waits before that
// moment are not in the series.
struct AttachedLate {
  std::uint32_t pid = 0;
  std::string comm;              // any bytes
  std::string file;              // any bytes
  std::uint64_t elapsed_ns = 0;  // from when on it is counted, after everything else was attached
};

struct Snapshot {
  std::uint64_t time_unix_ns = 0;           // when it was taken
  std::uint64_t elapsed_ns = 0;             // what it covers: since everything was attached, or of the interval
  std::vector<Series> series;               // without empty ones, in the order of merge_series()
  std::uint64_t left_out_cnt = 0;           // waits in series that keep_keys() left out: seen, though not here
  Losses losses;                            // of any key: what was lost has none
  std::uint64_t clamped_cnt = 0;            // waits whose clock went backwards, counted with a duration of 0
  std::vector<AttachedLate> attached_late;  // in order of elapsed_ns

  Coverage coverage() const;
};

// The waits between two snapshots of one session: series without any are left out. Figures that went back count as zero.
// REQUIRES: `earlier` was taken before `later`, and no keys were left out of either.
Snapshot interval(const Snapshot& later, const Snapshot& earlier);

// Leaves out the series whose key matches none of the patterns (key_patterns.h), and keeps count of their waits. No patterns:
// all match.
void keep_keys(Snapshot& snapshot, const std::vector<std::string>& patterns);

// Puts series in order (process_start_ticks, pid, key), and together where the same key of the same process comes more than
// once (a counter in several copies of the library, several shards).
void merge_series(std::vector<Series>& series);

}  // namespace waitprobe
