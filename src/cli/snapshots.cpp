// SPDX-License-Identifier: MIT
#include "src/cli/snapshots.h"

#include <algorithm>
#include <sstream>

#include "src/cli/report.h"
#include "src/cli/terminal.h"
#include "src/cli/tracing.h"
#include "src/collect/clock.h"
#include "src/view/columns.h"
#include "src/view/json.h"
#include "src/view/units.h"

namespace waitprobe::cli {
namespace {

using Event = TargetSession::Event;

// False when nobody reads any more.
Result<bool> print(const SnapshotOptions& options, Snapshot snapshot) {
  keep_keys(snapshot, options.key_globs);
  std::ostringstream out;
  if (options.json) {
    print_json(out, snapshot);
  } else {
    print_hist(out, snapshot, options.table);
  }
  return write_output(out.view());
}

std::string check_sort(const std::string& name) {
  const auto names = sort_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return "";
  return "there is no column '" + name + "'; the columns are " + CLI::detail::join(names, ", ");
}

// Until the moment, with a line of progress if that takes long.
Event run_until(TargetSession& targets, std::uint64_t deadline_ns) {
  Progress progress;
  for (;;) {
    const Event event = targets.run_until(std::min(deadline_ns, progress.due_ns()));
    if (targets.has_warnings()) progress.clear();
    print_warnings(targets);
    if (event != Event::deadline || now_ns() >= deadline_ns) return event;
    progress.show("counting for " + format_duration(targets.elapsed_ns()) + "; Ctrl-C ends it and shows what there was");
  }
}

}  // namespace

void add_snapshot_options(Parser& parser, SnapshotOptions& options) {
  add_seconds(parser, "-d", options.duration_ns, "Stop after this time, and end the command (SIGTERM)");
  add_seconds(parser, "-i", options.interval_ns, "Show what happened in each such interval");
  add_key_globs(parser, options.key_globs);
  parser.add_option("--sort", options.table.sort, "One of " + CLI::detail::join(sort_names(), ", "))
      ->type_name("COLUMN")
      ->check(check_sort);
  parser.add_flag("--json", options.json, "One object a line, for a program to read");
}

Result<Event> print_snapshots(HistSession& session, const SnapshotOptions& options) {
  const std::uint64_t end_ns = later(now_ns(), options.duration_ns);
  std::uint64_t next_ns = later(now_ns(), options.interval_ns);
  Snapshot before;
  for (;;) {
    const Event event = run_until(session.targets(), std::min(end_ns, next_ns));
    const bool at_end = event != Event::deadline || end_ns <= next_ns;
    if (at_end) session.detach();
    Snapshot snapshot = session.snapshot();
    const auto printed = print(options, interval(snapshot, before));
    if (!printed) return printed.error();
    if (at_end || !*printed) return event;
    before = std::move(snapshot);
    next_ns = later(next_ns, options.interval_ns);
  }
}

}  // namespace waitprobe::cli
