// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <sstream>
#include <string_view>
#include <utility>

#include "src/cli/command_table.h"
#include "src/cli/exit_status.h"
#include "src/cli/moment.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/recordings.h"
#include "src/cli/snapshots.h"
#include "src/cli/terminal.h"
#include "src/view/comparison_lines.h"
#include "src/view/escape.h"
#include "src/view/json.h"
#include "src/view/recording_lines.h"
#include "src/view/units.h"

namespace waitprobe::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  MomentSpan a;
  MomentSpan b;
  std::vector<std::string> key_globs;
  ClassGlobs class_globs;
  std::optional<double> gate_percent;
  ComparedFigures gate_on = judged_figures;
  bool json = false;
  std::string color = "auto";
};

void add_gate(Parser& parser, std::optional<double>& to) {
  const auto take = [&to](const std::string& text) {
    double percent = 0;
    const std::string_view number(text.data(), text.size() - (text.ends_with('%') ? 1 : 0));
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
    if (error != std::errc() || end != number.data() + number.size() || !(percent >= 0) || !std::isfinite(percent)) {
      throw UsageError{"--gate takes a percentage such as 10, not '" + text + "'"};
    }
    to = percent;
  };
  parser.add_value("--gate", "PERCENT", "Exit with 3 if a key got worse by more than this", take);
}

// As --gate-on names it, or as the table does.
ComparedFigure gate_figure(const std::string& name) {
  for (const ComparedFigure figure : judged_figures) {
    if (name == name_of(figure) || name + "/s" == name_of(figure)) return figure;
  }
  throw UsageError{"--gate-on takes some of total, mean, p50 and p99, separated by commas, not '" + name + "'"};
}

void add_gate_on(Parser& parser, ComparedFigures& to) {
  const auto take = [&to](const std::string& text) {
    to.clear();
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      to.push_back(gate_figure(text.substr(at, comma - at)));
      at = comma + 1;
    }
  };
  parser.add_value("--gate-on", "FIGURES", "Figures for --gate (default: total,mean,p50,p99)", take);
}

void declare(Parser& parser, Options& options) {
  parser.set_target_usage("FILE [FILE]");
  parser.add_texts("FILE", options.files, "", "One recording or two; - is the standard input", Parser::Need::required);
  add_moment_span(parser, "--a", options.a, "Part of the first recording: 14:00..14:05, 0..60s");
  add_moment_span(parser, "--b", options.b, "Part of the second, or only, recording");
  add_key_globs(parser, options.key_globs);
  add_class_globs(parser, options.class_globs);
  add_gate(parser, options.gate_percent);
  add_gate_on(parser, options.gate_on);
  parser.add_flag("--json", options.json, "Print one JSON object");
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& parser, const Arguments& /*arguments*/) {
  if (parser.was_given("--gate-on") && !options.gate_percent) {
    throw UsageError{"--gate-on needs --gate PERCENT"};
  }
  if (options.files.size() > 2) throw UsageError{"more than two recordings; to add several up, use 'waitprobe report'"};
  if (options.files.size() == 1 && (options.a.is_all() || options.b.is_all())) {
    throw UsageError{"nothing to compare with; give a second recording, or two parts of this one with --a and --b"};
  }
}

// In how many pieces a span is cut: as many as were recorded if there are few, and of several each if there are many.
std::size_t batches_of(const Recordings& recordings, const Span& span) {
  std::size_t recorded = 0;
  for (const Recording& recording : recordings.all()) {
    recorded +=
        static_cast<std::size_t>(std::count_if(recording.intervals.begin(), recording.intervals.end(), [&](const auto& one) {
          const std::uint64_t middle_ns = one.middle_unix_ns() - recordings.begin_unix_ns();
          return middle_ns > span.from_ns && middle_ns <= span.to_ns;
        }));
  }
  constexpr std::size_t few = 20;
  return recorded <= few ? recorded : std::clamp(recorded / 2, few, most_batches);
}

struct Side {
  std::vector<std::string> what;
  History batches;
};

Result<Side> side_of(Recordings& recordings, const MomentSpan& wanted, const std::vector<KeyGlobs>& key_globs,
                     const ClassGlobs& class_globs) {
  auto span = span_of(recordings, wanted);
  if (!span) return span.error();
  span->to_ns = std::min(span->to_ns, recordings.end_unix_ns() - recordings.begin_unix_ns());
  const std::size_t batch_cnt = batches_of(recordings, *span);
  // Rounded up, so that no piece is left over at the end.
  span->interval_ns = batch_cnt == 0 ? UINT64_MAX : (span->to_ns - span->from_ns + batch_cnt - 1) / batch_cnt;
  auto batches = history_of(recordings, *span, key_globs, class_globs, false);
  if (!batches) return batches.error();
  const std::uint64_t begin_ns = recordings.begin_unix_ns();
  const Recording& recording = recordings.all().front();
  std::vector<std::string> what = recording_lines(recording, begin_ns + span->from_ns, begin_ns + span->to_ns);
  what.front() = recording.file + ", " + what.front();
  what.back() = "targets: " + what.back();
  return Side{std::move(what), std::move(*batches)};
}

// Which keys can be compared: a recording of some keys says nothing of the others, which would be new, or gone.
std::vector<KeyGlobs> common_keys(const std::vector<Recordings>& read, const KeyGlobs& wanted) {
  std::vector<KeyGlobs> all = {wanted};
  for (const Recordings& recordings : read) all.push_back(recordings.all().front().header.key_globs);
  if (all.back() != all[1]) {
    std::cerr << "waitprobe: warning: keys selected in only one recording (record -k) are ignored\n";
  }
  return all;
}

// Both sides, of two recordings or of one.
Result<std::vector<Side>> sides_of(const Options& options) {
  std::vector<Recordings> read;
  for (const std::string& file : options.files) {
    auto recordings = read_recordings({file});
    if (!recordings) return recordings.error();
    read.push_back(std::move(*recordings));
  }
  const auto key_globs = common_keys(read, options.key_globs);
  std::vector<Side> sides;
  for (const MomentSpan& part : {options.a, options.b}) {
    auto side = side_of(sides.empty() ? read.front() : read.back(), part, key_globs, options.class_globs);
    if (!side) return side.error();
    sides.push_back(std::move(*side));
  }
  return sides;
}

// What is worse about the key: "new, total/s is 22.3ms", "total/s is worse by +59.5 %".
std::string complaint(const ComparedKey& key, ComparedFigure worst) {
  if (key.verdict == Verdict::is_new) return "new, total/s is " + value_text(key[worst].b, worst);
  return std::string(name_of(worst)) + " is worse by " + change_text(key[worst].ratio);
}

// Says which keys are worse than the gate lets pass. Returns the exit status. Errors: there is nothing that it could judge.
Result<int> pass_gate(const Comparison& comparison, double percent, const ComparedFigures& figures) {
  std::vector<ComparedKey> keys = comparison.keys;
  // A program that has less to do waits longer for work, and is no worse for that.
  std::erase_if(keys, [](const ComparedKey& key) { return key.key_class == KeyClass::idle; });
  const auto unjudged =
      std::count_if(keys.begin(), keys.end(), [&](const ComparedKey& key) { return !is_judged(key, figures); });
  if (static_cast<std::size_t>(unjudged) == keys.size()) {
    if (keys.empty() && !comparison.keys.empty()) return Error{"judge", names_of(figures), "all keys are idle", ""};
    return Error{"judge", names_of(figures), "no key has enough waits on both sides",
                 "record longer, or with a smaller -i: at least " + std::to_string(least_batches) + " intervals each"};
  }
  int status = 0;
  for (const ComparedKey& key : keys) {
    const auto worst = worsened_beyond(key, percent, figures);
    if (!worst) continue;
    status = gate_failed;
    std::cerr << "waitprobe: gate: " << shown_key(key.key, key.key_len) << ": " << complaint(key, *worst) << "\n";
  }
  const auto doubt = [&](const char* why) {
    std::cerr << "waitprobe: gate: " << why << "\n";
    if (status == 0) status = not_verified;
  };
  if (!comparison.a.caveats.empty() || !comparison.b.caveats.empty()) {
    doubt("not all processes were verified; their losses are unknown");
  }
  if (comparison.a.coverage.lost != 0 || comparison.b.coverage.lost != 0) {
    doubt("waits were lost; the result is uncertain");
  }
  if (unjudged != 0) {
    std::cerr << "waitprobe: gate: " << unjudged << " of " << keys.size() << " keys could not be judged (\"unknown\")\n";
  }
  return status;
}

}  // namespace

void declare_diff(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_diff(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  const auto sides = sides_of(options);
  if (!sides) return sides.error();
  const Side &a = sides->front(), &b = sides->back();
  const Comparison comparison = compare(a.batches, b.batches);
  std::ostringstream out;
  if (options.json) {
    print_json(out, comparison);
  } else {
    print_comparison(out, comparison, {a.what, b.what, output_width(), wanted_colours(options.color)});
  }
  const auto printed = write_output(out.view());
  if (!printed) return printed.error();
  return options.gate_percent ? pass_gate(comparison, *options.gate_percent, options.gate_on) : Result<int>(0);
}

}  // namespace waitprobe::cli
