// SPDX-License-Identifier: MIT
#include "src/view/comparison_lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "src/view/escape.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t value_width = 9, change_width = 11, bound_width = 10;

std::string value_text(double value, ComparedFigure figure) {
  if (figure == ComparedFigure::rate) return format_rate(value);
  constexpr double most_ns = 9e18;  // beyond, whatever it is, it is not a number of nanoseconds any more
  return format_duration(static_cast<std::uint64_t>(std::llround(std::min(value, most_ns))));
}

bool is_change(Verdict verdict) { return verdict != Verdict::unknown && verdict != Verdict::no_change; }

std::string verdict_text(const Change& change) {
  if (!change.is_known) return "cannot tell";
  return is_change(change.verdict) ? name_of(change.verdict) : "";
}

void print_figure(std::ostream& out, const ComparedKey& key, ComparedFigure figure, Colours colours) {
  const Change& change = key[figure];
  std::string line = "  " + pad(name_of(figure), 8) +
                     align_right(key.count_a != 0 ? value_text(change.a, figure) : "-", value_width) +
                     align_right(key.count_b != 0 ? value_text(change.b, figure) : "-", value_width);
  const bool has_both = key.count_a != 0 && key.count_b != 0;
  if (change.is_known) {
    line += align_right(change_text(change.ratio), change_width) + align_right(change_text(change.least_ratio), bound_width) +
            " .." + align_right(change_text(change.greatest_ratio), bound_width);
  } else if (has_both) {
    line += std::string(change_width + 2 * bound_width + 3, ' ');
  }
  const std::string verdict = has_both ? verdict_text(change) : "";
  if (!verdict.empty()) {
    line += "  " + (change.verdict == Verdict::worse ? emphasised(verdict, Emphasis::alert, colours) : verdict);
  }
  out << line << '\n';
}

std::string headline(const ComparedKey& key) {
  if (key.count_a == 0) return "only in B";
  if (key.count_b == 0) return "only in A";
  if (!is_change(key.verdict)) return key.verdict == Verdict::unknown ? "cannot tell" : "no change beyond noise";
  return name_of(key.verdict);
}

void print_key(std::ostream& out, const ComparedKey& key, const ComparisonOptions& options) {
  const std::string says = headline(key);
  const std::string shown = pad(shown_key(key.key, key.key_len), options.width - 24);
  out << emphasised(shown, Emphasis::bold, options.colours) << "  "
      << (key.verdict == Verdict::worse ? emphasised(says, Emphasis::alert, options.colours) : says) << '\n';
  out << "  count   " << align_right(key.count_a != 0 ? format_count(key.count_a) : "-", value_width)
      << align_right(key.count_b != 0 ? format_count(key.count_b) : "-", value_width) << '\n';
  for (std::size_t i = 0; i < compared_figures; i++) print_figure(out, key, static_cast<ComparedFigure>(i), options.colours);
  out << '\n';
}

void print_side(std::ostream& out, const char* name, const std::string& what, const ComparedSide& side, std::size_t width) {
  out << name << ": " << shorten(escape(what), width - 3) << '\n';
  const std::uint64_t length_ns = side.batches != 0 ? side.elapsed_ns / side.batches : 0;
  out << "   " << side.batches << (side.batches == 1 ? " batch of " : " batches of ") << format_duration(length_ns);
  if (side.coverage.lost != 0) out << ", " << side.coverage.lost << " waits were lost";
  out << '\n';
}

void print_summary(std::ostream& out, const Comparison& comparison) {
  const auto count = [&](const auto& which) {
    return std::to_string(std::count_if(comparison.keys.begin(), comparison.keys.end(), which));
  };
  const auto in_both = [](const ComparedKey& key) { return key.count_a != 0 && key.count_b != 0; };
  out << "keys: " << count([](const ComparedKey& key) { return key.verdict == Verdict::worse; }) << " worse, "
      << count([](const ComparedKey& key) { return key.verdict == Verdict::better; }) << " better, "
      << count([](const ComparedKey& key) { return key.verdict == Verdict::no_change; }) << " without a change beyond noise, "
      << count([&](const ComparedKey& key) { return in_both(key) && key.verdict == Verdict::unknown; })
      << " that cannot be told,\n"
      << "      " << count([](const ComparedKey& key) { return key.count_b == 0; }) << " only in A, "
      << count([](const ComparedKey& key) { return key.count_a == 0; }) << " only in B\n";
}

}  // namespace

const char* name_of(ComparedFigure figure) {
  constexpr const char* names[compared_figures] = {"count/s", "total/s", "mean", "p50", "p99"};
  return names[static_cast<std::size_t>(figure)];
}

const char* name_of(Verdict verdict) {
  constexpr const char* names[] = {"unknown", "no change", "worse", "better", "more", "less"};
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

void print_comparison(std::ostream& out, const Comparison& comparison, const ComparisonOptions& options) {
  print_side(out, "A", options.a, comparison.a, options.width);
  print_side(out, "B", options.b, comparison.b, options.width);
  out << '\n'
      << std::string(10, ' ') << align_right("A", value_width) << align_right("B", value_width)
      << align_right("change", change_width) << align_right("99 % interval", 2 * bound_width) << "\n";
  for (const ComparedKey& key : comparison.keys) print_key(out, key, options);
  print_summary(out, comparison);
  out << "A change counts when its interval does not hold 0 %, and it is at least 2 %\n"
         "(6.25 % for p50 and p99: buckets are no finer). Without any, one comparison in\n"
         "a hundred shows one. docs/recording.md tells how.\n";
}

}  // namespace waitprobe
