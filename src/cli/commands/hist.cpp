// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"
#include "src/cli/live_source.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/snapshots.h"
#include "src/cli/stop_signals.h"
#include "src/cli/terminal.h"
#include "src/collect/trace/hist_session.h"

namespace waitprobe::cli {
namespace {

struct Options {
  LiveOptions live;
  PrintOptions print;
  std::string group_by;
  bool per_event = false;
  std::optional<TargetOptions> target_options;
  std::optional<ReadyFd> ready;
  std::string color = "auto";
};

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  add_live_options(parser, options.live, "Print a table for each interval");
  add_print_options(parser, options.print);
  add_table_options(parser, options.print.table);
  add_group_by(parser, options.group_by);
  parser.add_flag("--per-event", options.per_event, "One uprobe hit per wait: same counts, much slower");
  options.target_options->add_max_series(parser);
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  check_table_options(options.print.table, options.group_by);
  options.live.targets = options.target_options->choice(parser, arguments);
  options.print.table.width = output_width();
  options.print.table.colours = wanted_colours(options.color);
}

}  // namespace

void declare_hist(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_hist(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  const StopSignals signals;
  HistOptions how{.group_by = options.group_by};
  if (options.per_event) how.transport = Transport::events;
  auto opened = HistSession::open(options.live.targets, how, signals.fd());
  if (!opened) return opened.error();
  HistSession& session = **opened;
  options.ready->tell();
  if (auto started = session.targets().start(); !started) return started.error();
  return print_live(session, options.live, options.print, signals);
}

}  // namespace waitprobe::cli
