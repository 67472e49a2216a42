// SPDX-License-Identifier: MIT
//
// What commands that trace until somebody ends them have in common.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "src/cli/stop_signals.h"
#include "src/collect/trace/target_session.h"

namespace waitprobe::cli {

// A moment that is so much later, or never.
std::uint64_t later(std::uint64_t from_ns, std::uint64_t by_ns);

// Prints what went wrong on the way to stderr.
void print_warnings(TargetSession& targets);

// When a session is over: when its targets have ended, its time is up, or somebody asks for it, whichever is first. A command
// is asked to end then, and looked at until it has; only a second signal to the tool ends the session without it.
//
// Lifetime: what it is made of must outlive it.
class SessionEnd {
 public:
  using Event = TargetSession::Event;
  enum class Telling { on_stderr, nowhere };

  // `telling`: where to say, after two seconds, that the command takes its time.
  SessionEnd(TargetSession& targets, const StopSignals& signals, std::uint64_t duration_ns, Telling telling);

  // When to ask is_over() at the latest, in nanoseconds of CLOCK_MONOTONIC.
  std::uint64_t deadline_ns() const { return std::min(end_ns_, tell_ns_); }

  // To be asked after each run_until() of the targets, with what that returned.
  bool is_over(Event event);

  // Whether somebody has asked, or the time was up.
  bool is_asked() const { return is_asked_; }

  // What it was for.
  Event reason() const { return reason_; }

  // Ends what is not over. Returns the status that the command ended with; 0 where there is none, or its time was up.
  int finish();

 private:
  void ask(Event reason, std::optional<int> signal);

  TargetSession& targets_;
  const StopSignals& signals_;
  std::uint64_t end_ns_;
  std::uint64_t tell_ns_ = UINT64_MAX;
  Telling telling_;
  Event reason_ = Event::ended;
  bool is_asked_ = false;
  bool was_signalled_ = false;
  bool is_over_ = false;
  int gave_up_ = 0;  // what to exit with
};

// The status of a session: `status`, unless that is 0 and not every target was verified.
int with_verification(int status, const TargetSession& targets);

}  // namespace waitprobe::cli
