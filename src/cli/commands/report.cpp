// SPDX-License-Identifier: MIT
#include <algorithm>
#include <sstream>
#include <utility>

#include "src/cli/command_table.h"
#include "src/cli/moment.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/recordings.h"
#include "src/cli/snapshots.h"
#include "src/cli/terminal.h"
#include "src/view/page.h"
#include "src/view/recording_lines.h"
#include "src/view/units.h"

namespace waitprobe::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  MomentSpan span;
  std::uint64_t interval_ns = UINT64_MAX;
  PrintOptions print;
  bool by_key = false;
  std::string group_by;
  std::string page;  // file for a page of HTML; empty: none
  std::string color = "auto";
};

// More columns would be narrower than a pixel on a telephone.
constexpr std::size_t most_columns = 96;

void declare(Parser& parser, Options& options) {
  parser.set_target_usage("FILE...");
  parser.add_texts("FILE", options.files, "", "Recordings; - is the standard input", Parser::Need::required);
  add_moment(parser, "--from", options.span.from, "Start at this moment: 14:05, or 90s after the beginning");
  add_moment(parser, "--to", options.span.to, "End at this moment");
  add_duration(parser, "-i,--interval", options.interval_ns, "Print a table for each interval", Zero::refused);
  add_print_options(parser, options.print);
  add_table_options(parser, options.print.table);
  parser.add_flag("--by-key", options.by_key, "Add the processes up, one row per key");
  add_group_by(parser, options.group_by);
  parser.add_text("--html", options.page, "PAGE", "Write an HTML page instead; - for stdout");
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& /*parser*/, const Arguments& /*arguments*/) {
  if (!options.page.empty() &&
      (options.print.json || options.print.table.bars || options.print.table.top != 0 || options.by_key)) {
    throw UsageError{"--html cannot be combined with --json, --bars, --top or --by-key"};
  }
  if (!options.group_by.empty() && (options.by_key || !options.page.empty())) {
    throw UsageError{"--by-env cannot be combined with --by-key or --html"};
  }
  check_table_options(options.print.table, options.group_by);
  options.print.table.width = output_width();
  options.print.table.colours = wanted_colours(options.color);
}

Result<bool> print_heading(const Recordings& recordings) {
  std::ostringstream heading;
  print_recordings(heading, recordings.all());
  return write_output(heading.view());
}

// As tables, or for a program.
Result<void> print_report(Recordings& recordings, const Span& span, const Options& options) {
  const bool is_all = options.span.is_all() && options.interval_ns == UINT64_MAX;
  if (!options.print.json) {
    const auto told = print_heading(recordings);
    if (!told) return told.error();
    if (!*told) return {};
  }
  bool is_first = true;
  return for_each_interval(recordings, span, [&](Snapshot snapshot) -> Result<bool> {
    if (snapshot.elapsed_ns == 0) return true;  // finer than what was recorded
    if (!is_all && !options.print.json) {
      const std::uint64_t begin_unix_ns = snapshot.time_unix_ns - snapshot.elapsed_ns;
      const auto told =
          write_output(std::string(is_first ? "" : "\n") + format_interval(begin_unix_ns, snapshot.time_unix_ns) + "\n");
      is_first = false;
      if (!told || !*told) return told;
    }
    if (options.by_key) add_up_processes(snapshot.series);
    return print_snapshot(options.print, std::move(snapshot));
  });
}

// How long a column of a page is: a whole number of the intervals that were recorded, unless it was asked for.
std::uint64_t column_ns(const Recordings& recordings, const Span& span) {
  if (span.interval_ns != UINT64_MAX) return span.interval_ns;
  std::uint64_t interval_ns = 1;
  for (const Recording& recording : recordings.all()) {
    std::uint64_t elapsed_ns = 0;
    for (const RecordedInterval& interval : recording.intervals) elapsed_ns += interval.elapsed_ns;
    if (elapsed_ns != 0) interval_ns = std::max(interval_ns, elapsed_ns / recording.intervals.size());
  }
  const std::uint64_t all_ns = recordings.end_unix_ns() - recordings.begin_unix_ns();
  const std::uint64_t span_ns = std::min(span.to_ns, all_ns) - span.from_ns;
  const std::uint64_t intervals = span_ns / interval_ns + 1;
  return interval_ns * ((intervals + most_columns - 1) / most_columns);
}

Result<void> write_report_page(Recordings& recordings, Span span, const Options& options) {
  span.interval_ns = column_ns(recordings, span);
  const auto history = history_of(recordings, span, {options.print.key_globs}, options.print.class_globs, true);
  if (!history) return history.error();
  PageOptions page{{}, options.print.table.sort};
  for (const Recording& recording : recordings.all()) {
    // What of it is shown.
    const std::uint64_t from_ns = std::max(recording.begin_unix_ns(), recordings.begin_unix_ns() + span.from_ns);
    const std::uint64_t shown_ns = std::min(span.to_ns, recordings.end_unix_ns() - recordings.begin_unix_ns());
    const std::uint64_t to_ns = std::min(recording.end_unix_ns(), recordings.begin_unix_ns() + shown_ns);
    if (from_ns < to_ns) page.headings.push_back(describe_recording(recording, from_ns, to_ns));
  }
  std::ostringstream out;
  print_page(out, *history, page);
  return write_page(options.page, out.view());
}

}  // namespace

void declare_report(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_report(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  auto recordings = read_recordings(options.files);
  if (!recordings) return recordings.error();
  if (!options.group_by.empty()) {
    if (auto grouped = recordings->group_by(options.group_by); !grouped) return grouped.error();
  }
  auto span = span_of(*recordings, options.span);
  if (!span) return span.error();
  span->interval_ns = options.interval_ns;
  const auto printed =
      options.page.empty() ? print_report(*recordings, *span, options) : write_report_page(*recordings, *span, options);
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
