// SPDX-License-Identifier: MIT
#include <sstream>
#include <utility>

#include "src/cli/command_table.h"
#include "src/cli/moment.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/recordings.h"
#include "src/cli/snapshots.h"
#include "src/cli/terminal.h"
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
};

Options parse(const CommandRow& row, const Words& words) {
  Parser parser(row);
  Options options;
  parser.set_target_usage("FILE...");
  parser.add_option("FILE", options.files, "Recordings; - is the standard input")->required();
  add_moment(parser, "--from", options.span.from, "Leave out what was before, as in 90s (after the beginning) or 14:05");
  add_moment(parser, "--to", options.span.to, "Leave out what came after");
  add_seconds(parser, "-i", options.interval_ns, "Show what happened in each such interval");
  add_print_options(parser, options.print);
  parser.add_flag("--bars", options.print.table.bars, "A histogram for each key");
  parser.add_flag("--by-key", options.by_key, "Add up the processes");
  parser.parse_words(words);
  if (words.has_command) throw CLI::ValidationError("report starts no command; leave out what follows --");
  options.print.table.width = output_width();
  options.print.table.colours = wanted_colours();
  return options;
}

}  // namespace

Result<int> run_report(const CommandRow& row, const Words& words) {
  const Options options = parse(row, words);
  auto recordings = read_recordings(options.files);
  if (!recordings) return recordings.error();
  auto span = span_of(*recordings, options.span);
  if (!span) return span.error();
  span->interval_ns = options.interval_ns;
  if (!options.print.json) {
    std::ostringstream heading;
    print_recordings(heading, recordings->all());
    const auto printed = write_output(heading.view());
    if (!printed) return printed.error();
    if (!*printed) return 0;
  }
  const bool is_all = options.span.is_all() && options.interval_ns == UINT64_MAX;
  const auto printed = for_each_interval(*recordings, *span, [&](Snapshot snapshot) -> Result<bool> {
    if (snapshot.elapsed_ns == 0) return true;  // finer than what was recorded
    if (!is_all && !options.print.json) {
      const auto told = write_output(format_time_of_day(snapshot.time_unix_ns - snapshot.elapsed_ns) + " to " +
                                     format_time_of_day(snapshot.time_unix_ns) + "\n");
      if (!told || !*told) return told;
    }
    if (options.by_key) add_up_processes(snapshot.series);
    return print_snapshot(options.print, std::move(snapshot));
  });
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
