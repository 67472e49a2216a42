// SPDX-License-Identifier: MIT
#include "src/view/columns.h"

#include <algorithm>
#include <utility>

#include "src/view/escape.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

std::uint64_t count(const Series& s) { return s.histogram.count(); }
std::uint64_t total(const Series& s) { return s.histogram.total_ns(); }
std::uint64_t least(const Series& s) { return s.histogram.min_ns(); }
std::uint64_t greatest(const Series& s) { return s.histogram.max_ns(); }

template <int per_mille>
std::uint64_t quantile(const Series& s) {
  return s.histogram.quantile_ns(per_mille / 1000.0);
}

template <std::uint64_t (*value)(const Series&)>
std::string duration(const Series& s, std::uint64_t) {
  return format_duration(value(s));
}

std::string waiters(const Series& s, std::uint64_t elapsed_ns) {
  return elapsed_ns == 0 ? "-" : format_rate(static_cast<double>(total(s)) / static_cast<double>(elapsed_ns));
}

constexpr Column table[] = {
    {"count", "count", 7, [](const Series& s, std::uint64_t) { return format_count(count(s)); }, count},
    {"rate", "rate/s", 6, [](const Series& s, std::uint64_t elapsed_ns) { return format_rate(count(s), elapsed_ns); }, count},
    {"total", "total", 6, duration<total>, total},
    // How many threads waited on average. The total sorts the same.
    {"waiters", "waiters", 7, waiters, total, false},
    {"p50", "p50", 6, duration<quantile<500>>, quantile<500>},
    {"p90", "p90", 6, duration<quantile<900>>, quantile<900>},
    {"p99", "p99", 6, duration<quantile<990>>, quantile<990>},
    // An interval knows only the bounds of its extremes: "~".
    {"max", "max", 7,
     [](const Series& s, std::uint64_t) {
       return (s.histogram.min_max_are_bounds() ? "~" : "") + format_duration(greatest(s));
     },
     greatest},
};

constexpr Figure json_table[] = {
    {"count", count},          {"total_ns", total},       {"min_ns", least},         {"max_ns", greatest},
    {"p50_ns", quantile<500>}, {"p90_ns", quantile<900>}, {"p99_ns", quantile<990>}, {"p999_ns", quantile<999>},
};

}  // namespace

std::span<const Column> columns() { return table; }
std::span<const Figure> figures() { return json_table; }

std::string header_text() {
  std::string text;
  for (const Column& column : columns()) text += ' ' + align_right(column.header, column.width);
  return text;
}

std::string row_text(const Series& series, std::uint64_t elapsed_ns) {
  std::string text;
  for (const Column& column : columns()) text += ' ' + align_right(column.text(series, elapsed_ns), column.width);
  return text;
}

std::size_t row_width() {
  std::size_t width = 0;
  for (const Column& column : columns()) width += 1 + column.width;
  return width;
}

std::vector<std::string> sort_names() {
  std::vector<std::string> names = {"key"};
  for (const Column& column : columns()) {
    if (column.is_sort_name) names.emplace_back(column.name);
  }
  return names;
}

std::vector<const Series*> sorted(const std::vector<Series>& series, const std::string& column) {
  const auto wanted = std::find_if(columns().begin(), columns().end(), [&](const Column& c) { return column == c.name; });
  const bool by_key = wanted == columns().end();
  std::vector<std::pair<std::uint64_t, const Series*>> valued;
  for (const Series& s : series) valued.emplace_back(by_key ? 0 : wanted->value(s), &s);
  std::stable_sort(valued.begin(), valued.end(), [&](const auto& a, const auto& b) {
    if (a.second->key_class != b.second->key_class) return a.second->key_class < b.second->key_class;
    return by_key ? a.second->key < b.second->key : a.first > b.first;
  });
  std::vector<const Series*> rows;
  for (const auto& entry : valued) rows.push_back(entry.second);
  return rows;
}

}  // namespace waitprobe
