// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/report.h"
#include "src/cli/stop_signals.h"
#include "src/cli/tracing.h"
#include "src/collect/clock.h"
#include "src/collect/hist_session.h"
#include "src/view/columns.h"
#include "src/view/hist_table.h"
#include "src/view/json.h"

namespace waitprobe::cli {
namespace {

struct Options {
  TargetChoice targets;
  std::uint64_t duration_ns = UINT64_MAX;
  std::uint64_t interval_ns = UINT64_MAX;
  std::vector<std::string> key_globs;
  TableOptions table;
  bool json = false;
  bool per_event = false;
};

// False when nobody reads any more.
Result<bool> print(const Options& options, Snapshot snapshot) {
  keep_keys(snapshot, options.key_globs);
  std::ostringstream out;
  if (options.json) {
    print_json(out, snapshot);
  } else {
    print_hist(out, snapshot, options.table);
  }
  return write_output(out.str());
}

std::string check_sort(const std::string& name) {
  const auto names = sort_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return "";
  return "there is no column '" + name + "'; the columns are " + CLI::detail::join(names, ", ");
}

// Counts until the end, and prints an interval at a time, or all at once. Returns why it ended.
Result<TargetSession::Event> watch(HistSession& session, const Options& options) {
  const std::uint64_t end_ns = later(now_ns(), options.duration_ns);
  std::uint64_t next_ns = later(now_ns(), options.interval_ns);
  Snapshot before;
  for (;;) {
    const auto event = session.targets().run_until(std::min(end_ns, next_ns));
    print_warnings(session.targets());
    const bool at_end = event != TargetSession::Event::deadline || end_ns <= next_ns;
    if (at_end) session.detach();
    Snapshot snapshot = session.snapshot();
    const auto printed = print(options, interval(snapshot, before));
    if (!printed) return printed.error();
    if (at_end || !*printed) return event;
    before = std::move(snapshot);
    next_ns = later(next_ns, options.interval_ns);
  }
}

Options parse(const CommandRow& row, const Words& words, std::optional<ReadyFd>& ready) {
  Parser parser(row);
  Options options;
  const TargetOptions targets(parser);
  add_seconds(parser, "-d", options.duration_ns, "Stop after this time, and end the command (SIGTERM)");
  add_seconds(parser, "-i", options.interval_ns, "Print what happened in each such interval");
  add_key_globs(parser, options.key_globs);
  parser.add_option("--sort", options.table.sort, "One of " + CLI::detail::join(sort_names(), ", "))
      ->type_name("COLUMN")
      ->check(check_sort);
  parser.add_flag("--bars", options.table.bars, "A histogram for each key");
  parser.add_flag("--json", options.json, "One object a line, for a program to read");
  parser.add_flag("--per-event", options.per_event, "Trap at each wait: the same counts, much dearer");
  ready.emplace(parser);
  parser.parse_words(words);
  options.targets = targets.choice(words);
  return options;
}

}  // namespace

Result<int> run_hist(const CommandRow& row, const Words& words) {
  std::optional<ReadyFd> ready;
  const Options options = parse(row, words, ready);
  const StopSignals signals;
  auto opened = HistSession::open(options.targets, options.per_event ? Transport::events : Transport::batches, signals.fd());
  if (!opened) return opened.error();
  HistSession& session = **opened;
  ready->tell();
  if (auto started = session.targets().start(); !started) return started.error();
  const auto event = watch(session, options);
  const int status = finish(session.targets(), event ? *event : TargetSession::Event::deadline, signals);
  return event ? Result<int>(status) : event.error();
}

}  // namespace waitprobe::cli
