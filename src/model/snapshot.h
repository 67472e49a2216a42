// SPDX-License-Identifier: MIT
//
// All series at one moment: plain data, and the one thing that sources hand to views.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

  ProcessId process() const { return {host, process_start_ticks, pid}; }
};

// All but its name of today, which an exec changes; in the order of merge_series().
bool is_before(const SeriesId& a, const SeriesId& b);

struct Series : SeriesId {
  Histogram histogram;
  std::uint32_t parent_pid = 0;      // of a process that was forked and has run no other program since; else 0
  std::optional<std::string> group;  // of its process today, where processes are put in groups (groups.h); any bytes
};

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

// A file whose probes could be attached only after a process had it mapped and others were being counted: waits before that
// moment are not in the series.
struct AttachedLate {
  std::uint32_t pid = 0;
  std::string comm;              // any bytes
  std::string file;              // any bytes
  std::uint64_t elapsed_ns = 0;  // from when on it is counted, after everything else was attached

  auto operator<=>(const AttachedLate&) const = default;
};

// A process of which it is not known that all its waits were seen: nobody has read of it that its guards are armed.
struct Unverified {
  std::uint32_t pid = 0;                // 0: of any process, which may not be known
  std::string comm;                     // any bytes
  std::string file;                     // any bytes; empty: not known
  std::string why;                      // one of unverified_reasons, or that of a newer version
  std::uint64_t until_ns = UINT64_MAX;  // as elapsed_ns: when it ended; not in recordings
};

struct UnverifiedReason {
  const char* name;     // in JSON, and in text
  const char* meaning;  // in text
};

namespace unverified {
inline constexpr UnverifiedReason word_is_zero = {"word is zero", "the kernel has not armed its guards"};
inline constexpr UnverifiedReason shared_page = {"shared semaphore page", "other data shares the page that arms its guards"};
inline constexpr UnverifiedReason not_readable = {"not readable", "its memory cannot be read"};
inline constexpr UnverifiedReason other_abi = {"another ABI", "its libwaitprobe is of another version"};
inline constexpr UnverifiedReason not_attached = {"not attached", "a warning says why"};
inline constexpr UnverifiedReason no_notes = {"no notes",
                                              "the notes that tell where its probes are were stripped, or stand there twice"};
inline constexpr UnverifiedReason moved_code = {"moved code", "it runs a copy of its code, in which there are no probes"};
inline constexpr UnverifiedReason ended_unseen = {"ended unseen", "it ended, or closed the file, before it could be looked at"};
inline constexpr UnverifiedReason not_told = {"not told of", "there was no room to tell of all, or a CPU came or went"};
inline constexpr UnverifiedReason too_many_blocks = {"too many blocks",
                                                     "its copies of libwaitprobe have more than are looked at"};
inline constexpr UnverifiedReason still_running = {"still running", "it was counted until the command ended"};
}  // namespace unverified

inline constexpr UnverifiedReason unverified_reasons[] = {
    unverified::word_is_zero, unverified::shared_page,   unverified::not_readable,   unverified::other_abi,
    unverified::not_attached, unverified::no_notes,      unverified::moved_code,     unverified::ended_unseen,
    unverified::not_told,     unverified::still_running, unverified::too_many_blocks};

struct Snapshot {
  std::uint64_t time_unix_ns = 0;           // when it was taken
  std::uint64_t elapsed_ns = 0;             // what it covers: since everything was attached, or of the interval
  std::vector<Series> series;               // without empty ones, in the order of merge_series()
  std::string group_by;                     // the environment variable whose values are the groups; empty: there are none
  std::vector<ProcessGroup> regrouped;      // of an interval: those that have waited before it, in another group
  std::uint64_t left_out_cnt = 0;           // waits in series that keep_keys() left out: seen, though not here
  Losses losses;                            // of any key: what was lost has none
  std::uint64_t clamped_cnt = 0;            // waits whose clock went backwards, counted with a duration of 0
  std::uint64_t abandoned_cnt = 0;          // waits that were taken for such as a longjmp or so has left, which never end
  std::vector<AttachedLate> attached_late;  // in order of elapsed_ns
  std::vector<Unverified> unverified;       // of an interval: those that had not ended before it
  bool has_pytorch = false;                 // in a target: of its waits, only those that have a counter can be seen

  Coverage coverage() const;

  // Those that were abandoned: without those that have ended after all, which are losses.
  std::uint64_t never_ended_cnt() const { return abandoned_cnt > losses.stale ? abandoned_cnt - losses.stale : 0; }

  // Whether all waits of all targets are in the series or among the losses: none was attached late, and of each it was read
  // that its guards are armed.
  bool is_verified() const { return attached_late.empty() && unverified.empty(); }
};

// The waits between two snapshots of one session: series without any are left out. Figures that went back count as zero.
// REQUIRES: `earlier` was taken before `later`, and the same keys were left out of both.
Snapshot interval(const Snapshot& later, const Snapshot& earlier);

// Leaves out the series whose key matches none of the patterns (key_patterns.h), and keeps count of their waits. No patterns:
// all match.
void keep_keys(Snapshot& snapshot, const std::vector<std::string>& patterns);

// Puts series in order (host, process_start_ticks, pid, key), and together where the same key of the same process comes more
// than once (a counter in several copies of the library, several shards).
void merge_series(std::vector<Series>& series);

// Puts together what all processes have of a key, as the series of a process without number and name.
void add_up_processes(std::vector<Series>& series);

}  // namespace waitprobe
