// SPDX-License-Identifier: MIT
//
// What an agent that stays attached knows at one moment, besides how long waits took (wait_totals.h): plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/model/caveats.h"
#include "src/model/losses.h"
#include "src/model/open_wait.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// What the agent takes from its machine.
struct AgentCost {
  std::uint64_t cpu_ns = 0;  // of all its threads, user and system, since it started
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::optional<std::uint64_t> max_fds;  // absent: unlimited
  std::uint64_t bpf_memory_bytes = 0;    // of its maps and programs
  std::uint64_t bpf_run_ns = 0;          // of other processes' time, by its BPF programs
};

// How pushing to a receiver of OTLP goes.
struct PushState {
  std::uint64_t sent_cnt = 0;     // bodies that the receiver has taken
  std::uint64_t failed_cnt = 0;   // requests that it did not take
  std::uint64_t dropped_cnt = 0;  // bodies: a newer one took their place, or the receiver does not want them
  std::string last_error;         // of the last request; empty: it was taken
};

struct AgentState {
  std::string version;
  std::uint64_t time_unix_ns = 0;
  std::uint64_t start_unix_ns = 0;  // when the agent started, and its counters with it

  // Of the session's last snapshot, since everything was attached.
  Coverage coverage;
  Losses losses;
  std::uint64_t abandoned_cnt = 0;
  std::uint64_t clamped_cnt = 0;
  Caveats caveats;

  OpenWaits open_waits;          // of any age, without stacks
  std::uint64_t target_cnt = 0;  // processes whose waits are counted
  std::uint64_t file_cnt = 0;    // programs and libraries that are attached to
  AgentCost cost;
  std::optional<PushState> push;  // absent: nobody is pushed to
  std::uint64_t scrape_cnt = 0;   // requests for metrics that were answered
  std::uint64_t scrape_ns = 0;    // how long the last one took
};

}  // namespace waitprobe
