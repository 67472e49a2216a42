// SPDX-License-Identifier: MIT
#include "src/view/comparison_lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "src/view/escape.h"
#include "src/view/key_text.h"
#include "src/view/note_lines.h"
#include "src/view/units.h"
#include "src/view/caveat_lines.h"

namespace waitprobe {
namespace {

constexpr std::size_t value_width = 9, change_width = 11, bound_width = 10;

bool is_one_sided(const ComparedKey& key) { return key.count_a == 0 || key.count_b == 0; }

bool is_worse(const ComparedKey& key) { return !key.figures_with(Verdict::worse).empty(); }

// Whether what is new or gone is so by more than noise.
bool is_beyond_noise(const ComparedKey& key) { return key[ComparedFigure::total].verdict != Verdict::unknown; }

std::string verdict_text(const ComparedKey& key, ComparedFigure figure) {
  const Verdict verdict = key[figure].verdict;
  if (is_one_sided(key) && figure != ComparedFigure::total) return "";  // what is not there is compared in nothing else
  if (verdict == Verdict::unknown) return "unknown";
  return verdict == Verdict::no_change ? "" : name_of(verdict);
}

void print_figure(std::ostream& out, const ComparedKey& key, ComparedFigure figure, Colours colours) {
  const Change& change = key[figure];
  std::string line = "  " + pad(name_of(figure), 8) +
                     align_right(key.count_a != 0 ? value_text(change.a, figure) : "-", value_width) +
                     align_right(key.count_b != 0 ? value_text(change.b, figure) : "-", value_width);
  const std::string verdict = verdict_text(key, figure);
  if (change.is_known) {
    line += align_right(change_text(change.ratio), change_width) + align_right(change_text(change.least_ratio), bound_width) +
            " .." + align_right(change_text(change.greatest_ratio), bound_width);
  } else if (!verdict.empty()) {
    line += std::string(change_width + 2 * bound_width + 3, ' ');
  }
  if (!verdict.empty()) {
    line += "  " + (change.verdict == Verdict::worse ? emphasised(verdict, Emphasis::alert, colours) : verdict);
  }
  out << line << '\n';
}

// "worse: total/s, mean; better: p99"
std::string reasons(const ComparedKey& key) {
  std::string text;
  for (const Verdict verdict : {Verdict::worse, Verdict::better}) {
    const ComparedFigures figures = key.figures_with(verdict);
    if (figures.empty()) continue;
    text += (text.empty() ? "" : "; ") + std::string(name_of(verdict)) + ": " + names_of(figures);
  }
  return text;
}

std::string headline(const ComparedKey& key) {
  if (is_one_sided(key)) return std::string(name_of(key.verdict)) + ", " + (is_beyond_noise(key) ? reasons(key) : "unknown");
  if (key.verdict == Verdict::unknown) return "unknown";
  return key.verdict == Verdict::no_change ? "no change beyond noise" : reasons(key);
}

void print_key(std::ostream& out, const ComparedKey& key, const ComparisonOptions& options) {
  const std::string says = headline(key);
  const std::size_t beside = std::max<std::size_t>(22, says.size()) + 2;
  const std::size_t columns = width_left(options.width == unlimited_width ? 80 : options.width, beside);
  const std::string shown = KeyText(key.key, key.key_len, key.key_class).padded_in(columns, options.width);
  out << emphasised(shown, Emphasis::bold, options.colours) << "  "
      << (is_worse(key) ? emphasised(says, Emphasis::alert, options.colours) : says) << '\n';
  out << "  count   " << align_right(key.count_a != 0 ? format_count(key.count_a) : "-", value_width)
      << align_right(key.count_b != 0 ? format_count(key.count_b) : "-", value_width) << '\n';
  for (std::size_t i = 0; i < compared_figures; i++) print_figure(out, key, static_cast<ComparedFigure>(i), options.colours);
  out << '\n';
}

void print_side(std::ostream& out, const char* name, const std::vector<std::string>& what, const ComparedSide& side,
                std::size_t width) {
  std::string indent = name + std::string(": ");
  for (const std::string& line : what) {
    out << indent << shorten(escape(line), width_left(width, indent.size())) << '\n';
    indent = "   ";
  }
  const std::uint64_t length_ns = side.batches != 0 ? side.elapsed_ns / side.batches : 0;
  out << "   " << side.batches << (side.batches == 1 ? " sample of " : " samples of ") << format_duration(length_ns);
  if (side.coverage.lost != 0) out << ", " << side.coverage.lost << " waits were lost: count/s and total/s are too low";
  out << '\n';
  if (!side.caveats.empty()) {
    out << "   " << caveat_text(side.caveats) << ": lost waits are unknown; see waitprobe report\n";
  }
  if (side.never_ended_cnt != 0) out << "   " << abandoned_text(side.never_ended_cnt) << '\n';
}

void print_summary(std::ostream& out, const Comparison& comparison) {
  const auto count = [&](Verdict verdict, bool only_beyond_noise = false) {
    return std::to_string(std::count_if(comparison.keys.begin(), comparison.keys.end(), [&](const ComparedKey& key) {
      return key.verdict == verdict && (!only_beyond_noise || is_beyond_noise(key));
    }));
  };
  out << "keys: " << count(Verdict::worse) << " worse, " << count(Verdict::better) << " better, " << count(Verdict::no_change)
      << " without a change beyond noise, " << count(Verdict::unknown) << " unknown,\n"
      << "      " << count(Verdict::is_new) << " new (" << count(Verdict::is_new, true) << " beyond noise), "
      << count(Verdict::is_gone) << " gone (" << count(Verdict::is_gone, true) << " beyond noise)\n";
}

}  // namespace

const char* name_of(ComparedFigure figure) {
  constexpr const char* names[compared_figures] = {"count/s", "total/s", "mean", "p50", "p99"};
  return names[static_cast<std::size_t>(figure)];
}

std::string names_of(const ComparedFigures& figures) {
  std::string names;
  for (const ComparedFigure figure : figures) names += (names.empty() ? "" : ", ") + std::string(name_of(figure));
  return names;
}

const char* name_of(Verdict verdict) {
  constexpr const char* names[] = {"unknown", "no change", "worse", "better", "more", "less", "new", "gone"};
  return names[static_cast<std::size_t>(verdict)];
}

std::string change_text(double ratio) {
  char text[32];
  const bool is_many = ratio >= 10;
  const double exact = is_many ? ratio : (ratio - 1) * 100;
  const double value = std::abs(exact) < 0.05 ? 0 : exact;  // and not -0
  if (ratio > 9999) return "> x 9999";
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 1).ptr;
  const std::string digits(text, end);
  if (is_many) return "x " + digits;
  return (value >= 0 ? "+" : "") + digits + " %";
}

std::string too_few_text(const Comparison& comparison) {
  std::string has;
  if (comparison.a.has_too_few()) has += "A has " + std::to_string(comparison.a.batches);
  if (comparison.b.has_too_few()) has += (has.empty() ? "B has " : ", B has ") + std::to_string(comparison.b.batches);
  if (has.empty()) return "";
  return "Too few intervals to judge: " + has + ", and each side needs " + std::to_string(least_batches) +
         ".\nRecord longer, or with a smaller -i; with --a and --b, compare longer parts.\n";
}

std::string value_text(double value, ComparedFigure figure) {
  if (figure == ComparedFigure::rate) return format_rate(value);
  constexpr double most_ns = 9e18;  // beyond, whatever it is, it is not a number of nanoseconds any more
  return format_duration(static_cast<std::uint64_t>(std::llround(std::min(value, most_ns))));
}

void print_comparison(std::ostream& out, const Comparison& comparison, const ComparisonOptions& options) {
  print_side(out, "A", options.a, comparison.a, options.width);
  print_side(out, "B", options.b, comparison.b, options.width);
  const std::string too_few = too_few_text(comparison);
  if (!too_few.empty()) out << emphasised(too_few, Emphasis::alert, options.colours);
  if (comparison.keys.empty()) {
    out << "\nNeither side has waits to compare\n";
    return;
  }
  out << '\n'
      << std::string(10, ' ') << align_right("A", value_width) << align_right("B", value_width)
      << align_right("change", change_width) << align_right("99 % interval", 2 * bound_width) << "\n";
  for (const ComparedKey& key : comparison.keys) print_key(out, key, options);
  print_summary(out, comparison);
  out << "Sorted by the change of total/s; keys that are no waits come last. A change is\n"
         "significant if its interval excludes 0 % and it is at least 2 % (9.1 % for p50\n"
         "and p99: the width of a bucket). 1 comparison in 100 without a real change\n"
         "shows one.\n"
         "docs/recording.md describes the method.\n";
}

}  // namespace waitprobe
