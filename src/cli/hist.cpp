// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/report.h"
#include "src/cli/stop_signals.h"
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

std::uint64_t later(std::uint64_t from_ns, std::uint64_t by_ns) {
  return by_ns > UINT64_MAX - from_ns ? UINT64_MAX : from_ns + by_ns;
}

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

void print_warnings(HistSession& session) {
  for (const Error& warning : session.take_warnings()) report(std::cerr, warning, "warning: cannot");
}

// Counts until the end, and prints an interval at a time, or all at once. Returns why it ended.
Result<HistSession::Event> watch(HistSession& session, const Options& options) {
  const std::uint64_t end_ns = later(now_ns(), options.duration_ns);
  std::uint64_t next_ns = later(now_ns(), options.interval_ns);
  Snapshot before;
  for (;;) {
    const auto event = session.run_until(std::min(end_ns, next_ns));
    print_warnings(session);
    const bool at_end = event != HistSession::Event::deadline || end_ns <= next_ns;
    if (at_end) session.detach();
    Snapshot snapshot = session.snapshot();
    const auto printed = print(options, interval(snapshot, before));
    if (!printed) return printed.error();
    if (at_end || !*printed) return event;
    before = std::move(snapshot);
    next_ns = later(next_ns, options.interval_ns);
  }
}

// The status that a command ended with. If it is still running it is asked to end, and waited for; a second signal ends the
// wait.
int finish(HistSession& session, HistSession::Event event, const StopSignals& signals) {
  const bool time_is_up = event == HistSession::Event::deadline;
  if (time_is_up) session.command()->signal(SIGTERM);
  for (int asked = 0; event != HistSession::Event::ended; event = session.run_until(UINT64_MAX)) {
    const auto signal = signals.take();
    if (!signal) continue;
    if (++asked > 1) return 128 + signal->number;
    if (!signal->sent_to_all) session.command()->signal(signal->number);
  }
  const int status = session.command()->wait();
  return time_is_up ? 0 : status;
}

Options parse(const CommandRow& row, const Words& words, std::optional<ReadyFd>& ready) {
  Parser parser(row);
  Options options;
  const TargetOptions targets(parser);
  add_seconds(parser, "-d", options.duration_ns, "Stop after this time, and end the command (SIGTERM)");
  add_seconds(parser, "-i", options.interval_ns, "Print what happened in each such interval");
  parser.add_option("-k", options.key_globs, "Only keys that match, as in -k 'db.*'; repeatable")
      ->type_name("GLOB")
      ->allow_extra_args(false);
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
  if (auto started = session.start(); !started) return started.error();
  const auto event = watch(session, options);
  if (!event) {
    if (session.command() != nullptr) finish(session, HistSession::Event::deadline, signals);
    return event.error();
  }
  return session.command() != nullptr ? finish(session, *event, signals) : 0;
}

}  // namespace waitprobe::cli
