// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/snapshots.h"
#include "src/cli/stop_signals.h"
#include "src/cli/terminal.h"
#include "src/cli/tracing.h"
#include "src/collect/hist_session.h"

namespace waitprobe::cli {
namespace {

struct Options {
  SnapshotOptions snapshots;
  bool per_event = false;
};

Options parse(const CommandRow& row, const Words& words, std::optional<ReadyFd>& ready) {
  Parser parser(row);
  Options options;
  const TargetOptions targets(parser);
  add_snapshot_options(parser, options.snapshots);
  parser.add_flag("--bars", options.snapshots.table.bars, "A histogram for each key");
  parser.add_flag("--per-event", options.per_event, "Trap at each wait: the same counts, much dearer");
  ready.emplace(parser);
  parser.parse_words(words);
  options.snapshots.targets = targets.choice(words);
  options.snapshots.table.width = output_width();
  options.snapshots.table.colours = wanted_colours();
  return options;
}

}  // namespace

Result<int> run_hist(const CommandRow& row, const Words& words) {
  std::optional<ReadyFd> ready;
  const Options options = parse(row, words, ready);
  const StopSignals signals;
  auto opened =
      HistSession::open(options.snapshots.targets, options.per_event ? Transport::events : Transport::batches, signals.fd());
  if (!opened) return opened.error();
  HistSession& session = **opened;
  ready->tell();
  if (auto started = session.targets().start(); !started) return started.error();
  const auto event = print_snapshots(session, options.snapshots);
  const int status = finish(session.targets(), event ? *event : TargetSession::Event::deadline, signals);
  return event ? Result<int>(status) : event.error();
}

}  // namespace waitprobe::cli
