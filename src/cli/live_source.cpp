// SPDX-License-Identifier: MIT
#include "src/cli/live_source.h"

#include <algorithm>

#include "src/cli/terminal.h"
#include "src/cli/tracing.h"
#include "src/collect/clock.h"
#include "src/view/units.h"

namespace waitprobe::cli {

using Event = TargetSession::Event;

void add_live_options(Parser& parser, LiveOptions& options, const std::string& interval_description) {
  add_seconds(parser, "-d", options.duration_ns, "Stop after this time, and end the command (SIGTERM)");
  add_seconds(parser, "-i", options.interval_ns, interval_description);
}

LiveSource::LiveSource(HistSession& session, std::uint64_t duration_ns)
    : session_(session), begin_ns_(now_ns()), end_ns_(later(begin_ns_, duration_ns)) {}

SnapshotSource::Totals LiveSource::totals_at(std::uint64_t elapsed_ns) {
  const std::uint64_t moment_ns = std::min(later(begin_ns_, elapsed_ns), end_ns_);
  event_ = run_until(moment_ns);
  const bool is_last = event_ != Event::deadline || moment_ns == end_ns_;
  if (is_last) session_.detach();
  return {session_.snapshot(), is_last};
}

Event LiveSource::run_until(std::uint64_t deadline_ns) {
  TargetSession& targets = session_.targets();
  Progress progress;
  for (;;) {
    const Event event = targets.run_until(std::min(deadline_ns, progress.due_ns()));
    if (targets.has_warnings()) progress.clear();
    print_warnings(targets);
    if (event != Event::deadline || now_ns() >= deadline_ns) return event;
    progress.show("counting for " + format_duration(targets.elapsed_ns()) + "; Ctrl-C ends it and shows what there was");
  }
}

Result<int> print_live(HistSession& session, const LiveOptions& live, const PrintOptions& print, const StopSignals& signals) {
  LiveSource source(session, live.duration_ns);
  const auto printed = for_each_interval(source, {0, UINT64_MAX, live.interval_ns},
                                         [&](Snapshot snapshot) { return print_snapshot(print, std::move(snapshot)); });
  const int status = finish(session.targets(), source.event(), signals);
  return printed ? Result<int>(with_verification(status, session.targets())) : printed.error();
}

}  // namespace waitprobe::cli
