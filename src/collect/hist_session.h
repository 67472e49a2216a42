// SPDX-License-Identifier: MIT
//
// From a choice of targets to snapshots of their waits. Single-threaded: everything that happens (programs that start, plug-ins
// that are loaded, the command that reports itself, signals) is dealt with inside run_until().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/collect/attachments.h"
#include "src/collect/command.h"
#include "src/collect/copies.h"
#include "src/collect/hist_program.h"
#include "src/collect/rendezvous.h"
#include "src/collect/tick_rate.h"
#include "src/collect/traced_copies.h"
#include "src/collect/watch_list.h"
#include "src/model/result.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// Whose waits are counted: exactly one of these.
struct TargetChoice {
  std::vector<std::uint32_t> pids;   // these processes, until all have ended
  bool all = false;                  // every process on the machine, those that start later too
  std::string file;                  // every process that maps this file, now or later
  std::vector<std::string> command;  // to be started; with all its descendants, until it ends
};

// Lifetime: destroying it detaches. Threads: one at a time.
class HistSession {
 public:
  // Attaches to everything there is to attach to, and begins to count. `stop_signals` is a signalfd, or -1. Errors: see bpf/,
  // and the target.
  static Result<std::unique_ptr<HistSession>> open(const TargetChoice& choice, Transport transport, int stop_signals);

  // Runs the command, if there is one.
  Result<void> start();

  enum class Event { deadline, stopped, ended, woken };

  // Until the moment (nanoseconds of CLOCK_MONOTONIC), until the signalfd or `wake_fd` is readable, or until the targets have
  // ended.
  Event run_until(std::uint64_t deadline_ns, int wake_fd = -1);

  // The totals up to now. Never smaller than those of an earlier one.
  Snapshot snapshot();

  // Ends the count: all that stopped before now is in it, and nothing else. After it, totals do not change any more.
  // run_until() goes on to serve the command.
  void detach();

  // What went wrong on the way and did not end the session; handed over once.
  std::vector<Error> take_warnings() { return std::exchange(warnings_, {}); }

  // Null when the targets are not a command.
  Command* command() { return command_ ? &*command_ : nullptr; }

 private:
  HistSession(HistProgram program, Transport transport, int stop_signals);

  Result<void> open_pids(const std::vector<std::uint32_t>& pids);
  Result<void> open_file(const std::string& path);
  void open_all();
  void look_at_all();
  Result<void> watch_end(std::uint32_t pid);

  void begin_to_count();
  void check_rate();
  void bring_all();

  Result<void> look_at(std::uint32_t pid, bool is_new);
  Result<void> meet(const Copy& copy, bool is_new);
  void look_later(std::uint32_t pid, bool is_new);
  void look_at_sighted(const wp_sighting& sighting);
  void look_at_due(std::uint64_t now_ns);
  void greet(std::uint32_t pid, std::uint64_t root_address);
  bool targets_have_ended() const;
  void wait_for_something(std::uint64_t until_ns, int wake_fd);

  HistProgram program_;
  std::unique_ptr<Attachments> attachments_;
  CopyFinder finder_;
  TracedCopies copies_;
  WatchList watches_;
  std::optional<ProbeFile> only_file_;  // of -f: it is attached to, and no other
  std::uint64_t next_full_look_ns_ = UINT64_MAX;
  std::optional<Rendezvous> rendezvous_;
  std::optional<Command> command_;
  std::vector<FileDescriptor> ends_;  // pidfds of the targets
  int stop_signals_;
  ClockPair clocks_;               // when the rate was measured last
  TickRate rate_;                  // of the cycle counter; all zero where it may not be read
  bool rate_changed_ = false;      // which has been told
  std::uint64_t counting_ns_ = 0;  // since when; 0: still attaching
  std::uint64_t ended_ns_ = 0;     // 0: still counting
  std::vector<AttachedLate> attached_late_;
  std::vector<Error> warnings_;
  std::set<FileId> refused_;  // files that could not be attached to: told once, and left alone
};

}  // namespace waitprobe
