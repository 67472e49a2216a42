// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/output.h"
#include "src/cli/stop_signals.h"
#include "src/cli/terminal.h"
#include "src/cli/tracing.h"
#include "src/collect/machine/clock.h"
#include "src/collect/trace/slow_session.h"
#include "src/model/key_patterns.h"
#include "src/view/json.h"
#include "src/view/slow_lines.h"
#include "src/view/units.h"

namespace waitprobe::cli {
namespace {

struct Options {
  TargetChoice targets;
  std::uint64_t min_ns = 1'000'000;
  std::uint64_t duration_ns = UINT64_MAX;
  std::uint64_t most_cnt = UINT64_MAX;
  std::vector<std::string> key_globs;
  ClassGlobs class_globs;
  bool stacks = false;
  bool json = false;
  SlowOptions view;
  std::optional<TargetOptions> target_options;
  std::optional<ReadyFd> ready;
  std::string color = "auto";
};

// Prints waits as they come, and in the end how many there were.
class Printer {
 public:
  explicit Printer(const Options& options) : options_(options) { summary_.min_ns = options.min_ns; }

  // False when nobody reads any more.
  Result<bool> print(const std::vector<SlowWait>& waits) {
    std::ostringstream out;
    for (const SlowWait& wait : waits) {
      if (!is_wanted(wait.key, options_.key_globs)) {
        summary_.left_out_cnt++;
      } else if (!has_enough()) {
        print(out, wait);
      }
    }
    return out.view().empty() ? Result<bool>(true) : write_output(out.view());
  }

  bool has_enough() const { return summary_.shown_cnt >= options_.most_cnt; }
  std::uint64_t shown_cnt() const { return summary_.shown_cnt; }

  // The lines are for whoever reads stdout; what they leave open goes beside them, if it is not JSON.
  Result<bool> print_end(SlowSession& session, const TargetSession& targets) {
    const std::uint64_t ago_ns = targets.ended_ns() != 0 ? now_ns() - targets.ended_ns() : 0;  // to detach takes its time
    summary_.time_unix_ns = clock_ns(CLOCK_REALTIME) - ago_ns;
    summary_.elapsed_ns = targets.elapsed_ns();
    summary_.losses = session.losses();
    summary_.caveats = targets.caveats();
    std::ostringstream out;
    if (!options_.json) {
      print_slow_summary(out, summary_);
      std::cerr << out.view();
      return true;
    }
    print_json(out, summary_);
    return write_output(out.view());
  }

 private:
  void print(std::ostream& out, SlowWait wait) {
    wait.key_class = class_of(wait.key, wait.key_class, options_.class_globs);
    if (options_.json) {
      print_json(out, wait);
    } else {
      if (summary_.shown_cnt == 0) print_slow_header(out, wait.time_unix_ns, options_.view);
      print_slow(out, wait, options_.view);
    }
    summary_.shown_cnt++;
  }

  const Options& options_;
  SlowSummary summary_;
};

// Says at once when waits are lost, however long the command goes on.
class LossWatch {
 public:
  void look(const Losses& losses) {
    const std::uint64_t lost = losses.sum();
    if (lost == known_ || now_ns() < next_ns_) return;
    known_ = lost;
    next_ns_ = now_ns() + 1'000'000'000;
    std::cerr << "waitprobe: warning: " << std::to_string(lost) << " slow waits lost so far";
    if (losses.ring_full != 0) std::cerr << ": waits occur faster than they are read; raise --min or omit --stack";
    std::cerr << "\n";
  }

 private:
  std::uint64_t known_ = 0, next_ns_ = 0;
};

std::string progress_text(std::uint64_t elapsed_ns, const Options& options, std::uint64_t shown_cnt) {
  return "tracing waits of " + format_duration(options.min_ns) + " or more for " + format_duration(elapsed_ns) + ": " +
         (shown_cnt != 0 ? std::to_string(shown_cnt) : "none") + " so far; Ctrl-C stops";
}

// Shows waits until the end, or as many as are wanted.
Result<void> watch(SlowSession& session, SessionEnd& end, const Options& options, Printer& printer) {
  Progress progress;
  LossWatch losses;
  for (;;) {
    const bool at_end = end.is_over(session.targets().run_until(std::min(end.deadline_ns(), progress.due_ns())));
    if (at_end) session.detach();
    const auto waits = session.take_waits();
    const auto warnings = session.targets().has_warnings();
    if (!waits.empty() || at_end || warnings) progress.clear();
    print_warnings(session.targets());
    losses.look(session.losses());
    const auto printed = printer.print(waits);
    if (!printed) return printed.error();
    if (at_end || !*printed || printer.has_enough()) return {};
    progress.show(progress_text(session.targets().elapsed_ns(), options, printer.shown_cnt()));
  }
}

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  add_duration(parser, "--min", options.min_ns, "Only waits at least this long; 0: all (default: 1ms)", Zero::allowed);
  parser.add_flag("--stack", options.stacks, "Print the stack of the thread");
  add_count(parser, "-n,--count", options.most_cnt, "Stop after this many waits");
  add_duration(parser, "-d,--duration", options.duration_ns, "Stop after this time; ends the command by SIGTERM",
               Zero::refused);
  add_key_globs(parser, options.key_globs);
  add_class_globs(parser, options.class_globs);
  parser.add_flag("--json", options.json, "Print one JSON object per line");
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  options.targets = options.target_options->choice(parser, arguments);
  options.view = {output_width(), wanted_colours(options.color)};
}

}  // namespace

void declare_slow(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_slow(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  const StopSignals signals;
  if (options.stacks) tell_where_names_come_from();
  auto opened = SlowSession::open(options.targets, options.min_ns, options.stacks, signals.fd());
  if (!opened) return opened.error();
  SlowSession& session = **opened;
  options.ready->tell();
  if (auto started = session.targets().start(); !started) return started.error();
  Printer printer(options);
  SessionEnd end(session.targets(), signals, options.duration_ns, SessionEnd::Telling::on_stderr);
  auto watched = watch(session, end, options, printer);
  if (watched) {
    session.targets().verify();  // it may have ended by what was read of it
    const auto printed = printer.print_end(session, session.targets());
    if (!printed) watched = printed.error();
  }
  const int status = end.finish();
  return watched ? Result<int>(with_verification(status, session.targets())) : watched.error();
}

}  // namespace waitprobe::cli
