// SPDX-License-Identifier: MIT
#include <poll.h>

#include <algorithm>
#include <iostream>
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/exit_status.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/output.h"
#include "src/cli/stop_signals.h"
#include "src/cli/terminal.h"
#include "src/cli/tracing.h"
#include "src/collect/stuck/arming.h"
#include "src/collect/machine/clock.h"
#include "src/collect/stuck/core_file.h"
#include "src/collect/stuck/stuck_session.h"
#include "src/view/json.h"
#include "src/view/stuck_table.h"

namespace waitprobe::cli {
namespace {

struct Options {
  TargetChoice targets;
  std::string core_file;
  StuckOptions stuck;
  bool watch = false;
  std::uint64_t interval_ns = 1'000'000'000;
  bool json = false;
  StuckTableOptions table;
  std::optional<TargetOptions> target_options;
  std::optional<ReadyFd> ready;
  std::string color = "auto";
};

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  parser.add_text("--core", options.core_file, "FILE", "Read a core dump instead of running processes");
  add_duration(parser, "--older", options.stuck.older_ns, "Only waits open at least this long (default: 1s)", Zero::allowed);
  parser.add_flag("--stack", options.stuck.stacks, "Print the stacks of the threads; stops each briefly");
  add_key_globs(parser, options.stuck.key_globs);
  add_class_globs(parser, options.stuck.class_globs);
  parser.add_values("--ignore", "GLOB", "Another name of --idle",
                    [&globs = options.stuck.class_globs.idle](const std::string& glob) { globs.push_back(glob); });
  add_group_by(parser, options.stuck.group_by);
  parser.add_flag("--watch", options.watch, "Repeat until Ctrl-C");
  add_duration(parser, "-i,--interval", options.interval_ns, "Refresh interval for --watch (default: 1s)", Zero::refused);
  parser.add_flag("--json", options.json, "Print one JSON object per line");
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
  parser.set_target_usage("(-p PID | -a | -f FILE | --core FILE)");
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  if (parser.was_given("--force") && !options.watch) throw UsageError{"--force needs --watch"};
  if (parser.was_given("-i") && !options.watch) throw UsageError{"--interval needs --watch"};
  if (options.watch && !options.core_file.empty()) throw UsageError{"--watch cannot be combined with --core"};
  if (!options.stuck.group_by.empty() && !options.core_file.empty()) {
    throw UsageError{"--by-env cannot be combined with --core"};
  }
  if (options.core_file.empty()) {
    options.targets = options.target_options->choice(parser, arguments);
  } else if (options.target_options->has_any()) {
    throw UsageError{"more than one kind of target; use --core FILE alone"};
  }
  options.table = {output_width(), wanted_colours(options.color)};
}

int status_of(const OpenWaits& found) {
  const bool is_stuck =
      std::any_of(found.waits.begin(), found.waits.end(), [](const OpenWait& wait) { return wait.lasting == Lasting::no; });
  if (is_stuck) return something_is_stuck;
  return found.is_certain() ? 0 : not_verified;
}

std::string text_of(const OpenWaits& found, const Options& options) {
  std::ostringstream out;
  if (options.json) {
    print_json(out, found);
  } else {
    print_stuck(out, found, options.table);
  }
  return out.str();
}

Result<int> once(Result<OpenWaits> found, const Options& options) {
  if (!found) return found.error();
  const auto printed = write_output(text_of(*found, options));
  return printed ? Result<int>(status_of(*found)) : printed.error();
}

// What stands before each table but the first: on a terminal, the order to begin again at its top.
std::string separator(const Options& options, bool is_first) {
  if (options.json) return "";
  if (is_on_terminal()) return "\033[H\033[2J";
  return is_first ? "" : "\n";
}

// Waits for a signal that ends it. False when the time came first.
bool is_stopped(const StopSignals& signals, std::uint64_t until_ns) {
  const std::uint64_t now = now_ns();
  const std::uint64_t rest_ns = until_ns > now ? until_ns - now : 0;
  const timespec patience = {static_cast<time_t>(rest_ns / 1'000'000'000U), static_cast<long>(rest_ns % 1'000'000'000U)};
  pollfd wait = {signals.fd(), POLLIN, 0};
  return ppoll(&wait, 1, &patience, nullptr) > 0;
}

// Waits that begin from now on are known, since it listens. The status is that of the last look.
Result<int> watch(StuckSession& session, const Options& options, const ReadyFd& ready) {
  const StopSignals signals;
  InstanceFinder finder;
  BeforeAttaching before(finder, options.targets.is_forced);
  Arming arming(before);
  int status = 0;
  std::uint64_t next_ns = now_ns();
  for (bool is_first = true;; is_first = false) {
    const auto found = session.look(&arming);
    if (!found) return is_first ? Result<int>(found.error()) : Result<int>(status);
    for (const Error& warning : arming.take_warnings()) report(std::cerr, warning, "warning: cannot");
    if (is_first) ready.tell();
    status = status_of(*found);
    const auto printed = write_output(separator(options, is_first) + text_of(*found, options));
    if (!printed) return printed.error();
    next_ns = std::max(later(next_ns, options.interval_ns), now_ns());
    if (!*printed || is_stopped(signals, next_ns)) return status;
  }
}

}  // namespace

void declare_stuck(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_stuck(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  if (options.stuck.stacks) tell_where_names_come_from();
  if (!options.core_file.empty()) return once(read_open_waits(options.core_file, options.stuck), options);
  auto session = StuckSession::open(options.targets, options.stuck);
  if (!session) return session.error();
  if (options.watch) return watch(*session, options, *options.ready);
  options.ready->tell();
  return once(session->look(nullptr), options);
}

}  // namespace waitprobe::cli
