// SPDX-License-Identifier: MIT
#pragma once

#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/snapshots.h"
#include "src/cli/stop_signals.h"
#include "src/cli/tracing.h"
#include "src/collect/trace/hist_session.h"
#include "src/model/snapshot_source.h"

namespace waitprobe::cli {

struct LiveOptions {
  TargetChoice targets;
  std::uint64_t duration_ns = UINT64_MAX;
  std::uint64_t interval_ns = UINT64_MAX;
};

// -d and -i.
void add_live_options(Parser& parser, LiveOptions& options, const std::string& interval_description);

// A session as a source of snapshots, which begins now. While it waits it shows progress and prints warnings. Lifetime: the
// session and its end must outlive it.
class LiveSource : public SnapshotSource {
 public:
  LiveSource(HistSession& session, SessionEnd& end);

  Totals totals_at(std::uint64_t elapsed_ns) override;

 private:
  TargetSession::Event run_until(std::uint64_t deadline_ns);

  HistSession& session_;
  SessionEnd& end_;
  std::uint64_t begin_ns_;
};

// Prints interval after interval until the end. Returns the exit status.
Result<int> print_live(HistSession& session, const LiveOptions& live, const PrintOptions& print, const StopSignals& signals);

}  // namespace waitprobe::cli
