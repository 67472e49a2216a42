// SPDX-License-Identifier: MIT
#include "src/cli/live_source.h"

#include <algorithm>

#include "src/cli/output.h"
#include "src/cli/terminal.h"
#include "src/collect/machine/clock.h"
#include "src/view/units.h"

namespace waitprobe::cli {

using Event = TargetSession::Event;

void add_live_options(Parser& parser, LiveOptions& options, const std::string& interval_description) {
  add_duration(parser, "-d,--duration", options.duration_ns, "Stop after this time; ends the command by SIGTERM",
               Zero::refused);
  add_duration(parser, "-i,--interval", options.interval_ns, interval_description, Zero::refused);
}

LiveSource::LiveSource(HistSession& session, SessionEnd& end) : session_(session), end_(end), begin_ns_(now_ns()) {}

SnapshotSource::Totals LiveSource::totals_at(std::uint64_t elapsed_ns) {
  const std::uint64_t moment_ns = later(begin_ns_, elapsed_ns);
  bool is_last = false;
  do {
    is_last = end_.is_over(run_until(std::min(moment_ns, end_.deadline_ns())));
  } while (!is_last && now_ns() < moment_ns);
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
    progress.show("counting for " + format_duration(targets.elapsed_ns()) + "; Ctrl-C stops and prints the result");
  }
}

Result<int> print_live(HistSession& session, const LiveOptions& live, const PrintOptions& print, const StopSignals& signals) {
  SessionEnd end(session.targets(), signals, live.duration_ns, SessionEnd::Telling::on_stderr);
  LiveSource source(session, end);
  std::uint64_t from_unix_ns = 0, to_unix_ns = 0;
  bool is_read = false;
  const auto printed = for_each_interval(source, {0, UINT64_MAX, live.interval_ns}, [&](Snapshot snapshot) -> Result<bool> {
    to_unix_ns = snapshot.time_unix_ns;
    const std::uint64_t begin_unix_ns = to_unix_ns - snapshot.elapsed_ns;
    const bool is_first = from_unix_ns == 0;
    if (is_first) from_unix_ns = begin_unix_ns;
    if (live.interval_ns != UINT64_MAX && !print.json) {
      const auto told = write_output(std::string(is_first ? "" : "\n") + format_interval(begin_unix_ns, to_unix_ns) + "\n");
      if (!told || !*told) return told;
    }
    auto shown = print_snapshot(print, std::move(snapshot));
    is_read = shown && *shown;
    return shown;
  });
  if (is_read && !print.json) {
    if (const auto told = write_output(format_span(from_unix_ns, to_unix_ns) + "\n"); !told) return told.error();
  }
  const int status = end.finish();
  return printed ? Result<int>(with_verification(status, session.targets())) : printed.error();
}

}  // namespace waitprobe::cli
