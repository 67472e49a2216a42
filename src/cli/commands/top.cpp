// SPDX-License-Identifier: MIT
#include <poll.h>

#include <algorithm>
#include <climits>
#include <iostream>
#include <memory>

#include "src/cli/command_table.h"
#include "src/cli/live_source.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/output.h"
#include "src/cli/screen.h"
#include "src/cli/snapshots.h"
#include "src/cli/stop_signals.h"
#include "src/cli/terminal.h"
#include "src/cli/tracing.h"
#include "src/collect/machine/clock.h"
#include "src/collect/trace/hist_session.h"
#include "src/view/top_screen.h"
#include "src/view/units.h"

namespace waitprobe::cli {
namespace {

using Event = TargetSession::Event;

struct Options {
  LiveOptions live;
  PrintOptions print;
  std::optional<TargetOptions> target_options;
  std::optional<ReadyFd> ready;
  std::string color = "auto";
};

constexpr std::uint64_t first_ns = 250'000'000;

std::string describe(const TargetChoice& targets) {
  if (targets.all) return "all processes";
  if (!targets.file.empty()) return targets.file;
  if (!targets.command.empty()) return joined(targets.command);
  if (targets.pids.size() == 1) return describe_process(targets.pids[0]);
  return std::to_string(targets.pids.size()) + " processes";
}

// The screen and what stands on it.
class Top {
 public:
  Top(HistSession& session, const Options& options, const StopSignals& signals, Screen& screen)
      : session_(session),
        options_(options),
        signals_(signals),
        screen_(screen),
        end_(session.targets(), signals, options.live.duration_ns, SessionEnd::Telling::nowhere) {
    state_.sort = options.print.table.sort;
    data_.target = describe(options.live.targets);
  }

  // Until somebody wants it to end, or the time is up. Returns the exit status.
  int run() {
    // The first figures come soon.
    std::uint64_t next_ns = now_ns() + std::min(options_.live.interval_ns, first_ns);
    for (;;) {
      if (now_ns() >= next_ns && !has_ended()) {
        look();
        next_ns = std::max(later(next_ns, options_.live.interval_ns), now_ns());
      }
      screen_.paint(render(state_, data_, screen_.rows(), screen_.columns()));
      const Event event = wait_until(std::min(next_ns, end_.deadline_ns()));
      keep_warnings();
      if (event == Event::ended && !end_.is_asked()) tell_end();
      for (const Screen::Press& pressed : screen_.take_keys()) press(state_, data_, pressed.key, pressed.text, screen_.rows());
      if (state_.quit || is_over(event)) return has_ended() ? status_ : end_.finish();
    }
  }

  // What went wrong meanwhile, to be printed when the screen has gone.
  std::vector<Error> take_warnings() { return std::exchange(warnings_, {}); }

 private:
  bool has_ended() const { return !data_.ended.empty(); }

  bool is_over(Event event) {
    return has_ended() ? event == Event::stopped || now_ns() >= end_.deadline_ns() : end_.is_over(event);
  }

  Event wait_until(std::uint64_t deadline_ns) {
    if (!has_ended()) return session_.targets().run_until(deadline_ns, screen_.fd());
    pollfd waits[] = {{signals_.fd(), POLLIN, 0}, {screen_.fd(), POLLIN, 0}};
    const std::uint64_t now = now_ns();
    const std::uint64_t left_ms = end_.deadline_ns() > now ? (end_.deadline_ns() - now) / 1'000'000 + 1 : 0;
    poll(waits, 2, static_cast<int>(std::min<std::uint64_t>(left_ms, INT_MAX)));
    return (waits[0].revents & POLLIN) != 0 ? Event::stopped : Event::woken;
  }

  // Takes a snapshot, and shows it unless the screen stands still.
  void look() {
    auto now = std::make_shared<const Snapshot>(session_.snapshot());
    if (!state_.paused) {
      data_.interval = interval(*now, *before_);
      data_.total = as_wanted(now);
      classify(data_.interval, options_.print.class_globs);
      keep_keys(data_.interval, options_.print.key_globs);
      add_quiet_series(data_.interval, *data_.total);
    }
    before_ = std::move(now);
  }

  std::shared_ptr<const Snapshot> as_wanted(const std::shared_ptr<const Snapshot>& all) const {
    if (options_.print.key_globs.empty() && options_.print.class_globs.empty()) return all;
    Snapshot wanted = *all;
    classify(wanted, options_.print.class_globs);
    keep_keys(wanted, options_.print.key_globs);
    return std::make_shared<const Snapshot>(std::move(wanted));
  }

  void keep_warnings() {
    for (Error& warning : session_.targets().take_warnings()) {
      data_.alert = "cannot " + warning.what + " " + warning.on + ": " + warning.why;
      warnings_.push_back(std::move(warning));
    }
  }

  // The last figures stay on the screen. There is no interval that they would be of.
  void tell_end() {
    session_.detach();
    state_.paused = false;
    look();
    state_.totals = true;
    data_.ended = (options_.live.targets.pids.size() > 1 ? "have ended at " : "has ended at ") +
                  format_time_of_day(clock_ns(CLOCK_REALTIME));
    if (session_.targets().command() == nullptr) return;
    (void)end_.is_over(Event::ended);
    status_ = end_.finish();
    data_.ended += " with status " + std::to_string(status_);
  }

  HistSession& session_;
  const Options& options_;
  const StopSignals& signals_;
  Screen& screen_;
  SessionEnd end_;
  TopState state_;
  TopData data_;
  std::shared_ptr<const Snapshot> before_ = std::make_shared<const Snapshot>();  // the last that was taken, of all keys
  int status_ = 0;
  std::vector<Error> warnings_;
};

void declare(Parser& parser, Options& options) {
  options.live.interval_ns = 1'000'000'000;
  options.target_options.emplace(parser);
  add_live_options(parser, options.live, "Refresh interval (default: 1s)");
  add_print_options(parser, options.print);
  options.target_options->add_max_series(parser);
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  options.live.targets = options.target_options->choice(parser, arguments);
  options.live.targets.command_is_off_terminal = true;
  options.print.table.width = output_width();
  options.print.table.colours = wanted_colours(options.color);
}

}  // namespace

void declare_top(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_top(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  const StopSignals signals;
  auto opened = HistSession::open(options.live.targets, {}, signals.fd());
  if (!opened) return opened.error();
  HistSession& session = **opened;
  options.ready->tell();
  if (auto started = session.targets().start(); !started) return started.error();
  auto screen = options.print.json ? nullptr : Screen::open(wanted_colours(options.color));
  if (screen == nullptr) return print_live(session, options.live, options.print, signals);
  Top top(session, options, signals, *screen);
  const int ended = top.run();
  session.targets().verify();  // it has shown the last interval before
  const int status = with_verification(ended, session.targets());
  screen.reset();
  for (const Error& warning : top.take_warnings()) report(std::cerr, warning, "warning: cannot");
  return status;
}

}  // namespace waitprobe::cli
