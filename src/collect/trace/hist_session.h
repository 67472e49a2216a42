// SPDX-License-Identifier: MIT
//
// A tracing session that counts waits: from a choice of targets to snapshots of their waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/process/control_group.h"
#include "src/collect/process/environment.h"
#include "src/collect/trace/hist_program.h"
#include "src/collect/trace/target_session.h"
#include "src/collect/machine/tick_rate.h"
#include "src/collect/trace/traced_instances.h"
#include "src/model/open_wait.h"
#include "src/model/result.h"
#include "src/model/series_totals.h"
#include "src/model/snapshot.h"

namespace waitprobe {

struct HistOptions {
  Transport transport = Transport::batches;
  std::string group_by;            // the environment variable whose value groups the series of a process; empty: no groups
  bool measures_run_time = false;  // of the BPF programs
  bool tells_control_groups = false;
  bool keeps_exemplars = false;
  std::size_t most_ended = most_ended_processes;  // that keep series of their own; others are added up
};

// Lifetime: destroying it detaches. Threads: one at a time.
class HistSession : private Tracer {
 public:
  // Attaches to the targets and starts to count. `stop_signals` is a signalfd, or -1. Errors: the BPF programs cannot be loaded
  // or attached, or a target does not exist.
  static Result<std::unique_ptr<HistSession>> open(const TargetChoice& choice, const HistOptions& options, int stop_signals);

  // The targets that are counted. The caller runs it.
  TargetSession& targets() { return *targets_; }

  // What the BPF programs have taken of other processes' time. REQUIRES: it is measured.
  std::uint64_t run_time_ns() const { return program_.run_time_ns(); }

  // Of the process of a series. REQUIRES: control groups are told.
  ProcessPlace place_of(const Series& series) const { return control_groups_->of(series); }

  // Of each series the slowest wait of each power of two of a second, since this was called last. REQUIRES: exemplars are kept,
  // and a snapshot was taken just now.
  std::vector<WaitExemplar> take_exemplars();

  // How many processes are counted that have the library.
  std::uint64_t target_cnt() const;

  // The waits that are open now in all processes that are counted: of those that began before, only what is known without a
  // tracer.
  OpenWaits open_waits() const;

  // The totals since the start. They never decrease from one call to the next.
  Snapshot snapshot();

  // Stops counting: the totals hold every wait that stopped before this call, and do not change afterwards. targets() can still
  // be run, to serve the command.
  void detach();

 private:
  HistSession(HistProgram program, Transport transport);

  std::vector<ProbeProgram> probe_programs() const override { return program_.probe_programs(); }
  ProcessFilter& processes() override { return program_.processes(); }
  std::span<TracepointLink> tracepoints() override { return program_.tracepoints(); }
  void on_instance(const LibraryInstance& instance, bool is_new) override;
  bool knows(std::uint64_t incarnation) const override { return instances_.knows(incarnation); }
  std::uint64_t untold_cnt() const override { return program_.untold_cnt(); }
  void on_lost_sight(std::uint32_t pid, std::uint64_t incarnation) override { instances_.lose_sight(pid, incarnation); }
  std::uint64_t next_ns() const override { return environments_ ? environments_->next_ns() : UINT64_MAX; }
  void relieve() override;
  bool serve() override;

  void make_room();
  void begin_to_count();
  void check_rate();
  void bring_all();
  void doubt_crowded();

  HistProgram program_;
  TracedInstances instances_;
  std::optional<EnvironmentReader> environments_;  // where processes are put in groups
  // Those of the last snapshot, in which an interval looks for what has been added up since.
  std::map<ProcessId, std::optional<std::string>> shown_groups_;
  std::optional<ControlGroups> control_groups_;  // where they are told
  ClockPair clocks_;                             // when the rate was measured last
  TickRate rate_;                                // of the cycle counter; all zero where it may not be read
  bool rate_changed_ = false;                    // which has been told
  std::unique_ptr<TargetSession> targets_;       // last: it uses the others until it has gone
};

}  // namespace waitprobe
