// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <iterator>

namespace waitprobe {

// Waits that happened while attached and are not in the series, by cause. Each cause is raised at the line that gives up.
struct Losses {
  std::uint64_t series_full = 0;  // the kernel had no histogram left for a new series
  std::uint64_t gap = 0;
  std::uint64_t late = 0;       // their thread's block was handed back, and they found no other
  std::uint64_t stale = 0;      // they had been taken for abandoned
  std::uint64_t reentered = 0;  // amid the start or the stop of another: of a signal handler, a hook of malloc
  std::uint64_t unreadable = 0;
  std::uint64_t no_memory = 0;
  std::uint64_t blocks_full = 0;  // the kernel had no room for one more thread block
  std::uint64_t missed = 0;       // runs of programs: each may have had any number of waits, or none
  std::uint64_t unfollowed = 0;   // children of a target; each counts as one wait at the least
  std::uint64_t ring_full = 0;    // slow waits

  std::uint64_t sum() const;
};

struct LossRow {
  const char* name;  // in JSON, and in text
  std::uint64_t Losses::*count;
  const char* meaning;  // so short that one line holds all three, whatever the count
};

// Every way to lose a wait, one row each: whoever writes, reads or adds up losses goes over these.
inline constexpr LossRow all_losses[] = {
    {"series_full", &Losses::series_full, "more keys than there is room for"},
    {"gap", &Losses::gap, "overwritten before they were fetched"},
    {"late", &Losses::late, "ended after their thread released its block"},
    {"stale", &Losses::stale, "ended after being counted as abandoned"},
    {"reentered", &Losses::reentered, "inside the start or stop of another wait"},
    {"unreadable", &Losses::unreadable, "their key could not be read"},
    {"no_memory", &Losses::no_memory, "the process had no memory for them"},
    {"blocks_full", &Losses::blocks_full, "the table of thread blocks was full"},
    {"missed", &Losses::missed, "the kernel skipped runs of a BPF program"},
    {"unfollowed", &Losses::unfollowed, "no room in the table of targets"},
    {"ring_full", &Losses::ring_full, "came faster than they were read"},
};
static_assert(sizeof(Losses) == std::size(all_losses) * sizeof(std::uint64_t), "a loss is missing above");

}  // namespace waitprobe
