// SPDX-License-Identifier: MIT
#include "src/view/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "src/view/escape.h"
#include "src/view/html_text.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr int levels = 8;      // of darkness
constexpr int height = 1000;   // of the drawing, in units of its own; a column is one wide
constexpr int least_gap = 60;  // between two labels of an axis, or of lines
constexpr std::uint32_t buckets_of_octave = 8;

struct QuantileLine {
  const char* name;
  double q;
};
constexpr QuantileLine quantile_lines[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};

// Rows of the drawing: buckets put together, on a logarithmic axis from the least to the greatest wait of the key.
class Rows {
 public:
  explicit Rows(const Histogram& all) {
    std::uint32_t first = 0, last = WP_BUCKETS - 1;
    while (first < last && all.bucket(first) == 0) first++;
    while (last > first && all.bucket(last) == 0) last--;
    // Halves of an octave; quarters where there is room for them.
    const std::uint32_t octaves = (last - first) / buckets_of_octave + 1;
    step_ = octaves <= 8 ? 2 : 4;
    first_ = first - first % step_;
    count_ = (last - first_) / step_ + 1;
    low_ = log_of(lo_ns(0));
    high_ = std::max(log_of(hi_ns(count_ - 1)), low_ + 1);
  }

  std::uint32_t count() const { return count_; }
  std::uint32_t of_bucket(std::uint32_t bucket) const { return (bucket - first_) / step_; }
  std::uint64_t lo_ns(std::uint32_t row) const { return wp_bucket_lo(first_ + row * step_); }
  std::uint64_t hi_ns(std::uint32_t row) const {
    // The last bucket has no end; it is drawn as long as those before it.
    const std::uint32_t next = first_ + (row + 1) * step_;
    return next < WP_BUCKETS ? wp_bucket_lo(next) : 2 * WP_BUCKET_END_NS;
  }

  // From the top.
  int y(double ns) const {
    return static_cast<int>(std::lround(height * (1 - std::clamp((log_of(ns) - low_) / (high_ - low_), 0.0, 1.0))));
  }

 private:
  static double log_of(double ns) { return std::log2(std::max(ns, 0.5)); }
  static double log_of(std::uint64_t ns) { return log_of(static_cast<double>(ns)); }

  std::uint32_t step_ = 2;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 1;
  double low_ = 0;
  double high_ = 1;
};

using Cells = std::map<std::uint32_t, std::uint64_t>;  // row, waits

std::vector<Cells> cells_of(const HistoryKey& key, const Rows& rows) {
  std::vector<Cells> columns;
  for (const SparseHistogram& column : key.columns) {
    Cells cells;
    for (const auto& [bucket, waits] : column.buckets) cells[rows.of_bucket(bucket)] += waits;
    columns.push_back(std::move(cells));
  }
  return columns;
}

std::uint64_t most_waits(const std::vector<Cells>& columns) {
  std::uint64_t most = 1;
  for (const Cells& cells : columns) {
    for (const auto& [row, waits] : cells) most = std::max(most, waits);
  }
  return most;
}

// 0 to levels - 1, by the logarithm: one slow wait among a million is to be seen.
int level_of(std::uint64_t waits, std::uint64_t most) {
  if (most <= 1) return levels - 1;
  const double share = std::log(static_cast<double>(waits)) / std::log(static_cast<double>(most));
  return std::clamp(static_cast<int>(share * levels), 0, levels - 1);
}

Histogram histogram_of(const SparseHistogram& column) {
  Histogram histogram;
  histogram.append(column);
  return histogram;
}

void print_cells(std::ostream& out, const std::vector<Cells>& columns, const Rows& rows) {
  const std::uint64_t most = most_waits(columns);
  std::array<std::string, levels> paths;
  for (std::size_t x = 0; x < columns.size(); x++) {
    for (const auto& [row, waits] : columns[x]) {
      const int top = rows.y(static_cast<double>(rows.hi_ns(row))), bottom = rows.y(static_cast<double>(rows.lo_ns(row)));
      const std::string cell_height = std::to_string(std::max(bottom - top, 1));
      paths[static_cast<std::size_t>(level_of(waits, most))] +=
          "M" + std::to_string(x) + " " + std::to_string(top) + "h1v" + cell_height + "h-1z";
    }
  }
  for (int level = 0; level < levels; level++) {
    const std::string& path = paths[static_cast<std::size_t>(level)];
    if (!path.empty()) out << "<path class=\"l" << level << "\" d=\"" << path << "\"/>";
  }
}

// A line goes through the middle of each column that has waits, and breaks off where there are none.
std::string line_of(const HistoryKey& key, const Rows& rows, double q) {
  std::string path;
  bool is_open = false;
  for (std::size_t x = 0; x < key.columns.size(); x++) {
    const bool has_waits = !key.columns[x].buckets.empty();
    if (has_waits) {
      const int y = rows.y(static_cast<double>(histogram_of(key.columns[x]).quantile_ns(q)));
      const std::string at = std::to_string(y);
      // As long as its column, so that one alone is seen as well.
      path += (is_open ? "L" : "M") + std::to_string(x) + " " + at + "h1";
    }
    is_open = has_waits;
  }
  return path;
}

void print_lines(std::ostream& out, const HistoryKey& key, const Rows& rows) {
  for (const auto& [name, q] : quantile_lines) {
    const std::string path = line_of(key, rows, q);
    out << "<path class=\"halo\" d=\"" << path << "\"/><path class=\"line " << name << "\" d=\"" << path << "\"/>";
  }
}

std::string percent(int y) {
  const std::string tenths = std::to_string(y % 10);
  return std::to_string(y / 10) + "." + tenths + "%";
}

// Without zeros that say nothing: "5ms".
std::string axis_text(std::uint64_t ns) {
  std::string text = format_duration(ns);
  const std::size_t point = text.find('.');
  if (point == std::string::npos) return text;
  const std::size_t unit = text.find_first_not_of("0123456789.");
  const bool is_whole = text.find_first_not_of('0', point + 1) == unit;
  return is_whole ? text.erase(point, unit - point) : text;
}

// Durations that people count in: 1, 2 and 5 of each power of ten, or 1 alone where they would stand too close.
void print_duration_axis(std::ostream& out, const Rows& rows) {
  std::vector<std::pair<int, std::uint64_t>> labels;
  const std::uint64_t lo_ns = rows.lo_ns(0), hi_ns = rows.hi_ns(rows.count() - 1);
  for (const std::uint64_t digit : {1U, 5U, 2U}) {
    for (std::uint64_t ns = digit; ns <= hi_ns; ns *= 10) {
      if (ns < lo_ns) continue;
      const int y = rows.y(static_cast<double>(ns));
      const bool is_free =
          std::all_of(labels.begin(), labels.end(), [y](const auto& other) { return std::abs(y - other.first) >= least_gap; });
      if (is_free) labels.emplace_back(y, ns);
    }
  }
  out << "<div class=\"durations\" aria-hidden=\"true\">";
  for (const auto& [y, ns] : labels) out << "<span style=\"top:" << percent(y) << "\">" << axis_text(ns) << "</span>";
  out << "</div>";
}

// Beside the drawing, at the end of each line; moved apart where lines end close to each other.
void print_line_labels(std::ostream& out, const HistoryKey& key, const Rows& rows) {
  const auto last =
      std::find_if(key.columns.rbegin(), key.columns.rend(), [](const auto& column) { return !column.buckets.empty(); });
  out << "<div class=\"names\" aria-hidden=\"true\">";
  if (last != key.columns.rend()) {
    const Histogram histogram = histogram_of(*last);
    int below = height + least_gap;
    std::string spans;
    std::size_t left = std::size(quantile_lines);
    for (const auto& [name, q] : quantile_lines) {
      left--;
      const int highest = static_cast<int>(left) * least_gap;  // the others must fit above it
      const int y = std::max(std::min(rows.y(static_cast<double>(histogram.quantile_ns(q))), below - least_gap), highest);
      below = y;
      spans += "<span style=\"top:" + percent(y) + "\">" + std::string(name) + "</span>";
    }
    out << spans;
  }
  out << "</div>";
}

// With the day where there is more than one.
std::string time_text(std::uint64_t unix_ns, std::uint64_t span_ns) {
  constexpr std::uint64_t day_ns = 86'400'000'000'000;
  return span_ns < day_ns ? format_time_of_day(unix_ns) : format_date_and_time(unix_ns).substr(5, 11);
}

void print_time_axis(std::ostream& out, const History& history) {
  constexpr std::size_t wanted = 6;
  const auto& columns = history.columns;
  out << "<div class=\"times\" aria-hidden=\"true\">";
  const std::size_t step = std::max<std::size_t>(1, (columns.size() + wanted - 1) / wanted);
  const std::uint64_t span_ns = columns.empty() ? 0 : columns.back().end_unix_ns - columns.front().end_unix_ns;
  for (std::size_t x = 0; x < columns.size(); x += step) {
    const auto left = static_cast<int>(1000 * x / columns.size());
    out << "<span style=\"left:" << percent(left) << "\">" << time_text(columns[x].end_unix_ns - columns[x].elapsed_ns, span_ns)
        << "</span>";
  }
  out << "</div>";
}

// What is told of a column when one points at it.
std::string column_text(const HistoryColumn& column, const Histogram& histogram) {
  const auto time = column.elapsed_ns < 1'000'000'000 ? format_time_of_day_ms : format_time_of_day;
  std::string text = time(column.end_unix_ns - column.elapsed_ns) + " to " + time(column.end_unix_ns) + ": ";
  if (column.elapsed_ns == 0) return format_time_of_day(column.end_unix_ns) + ": nothing was recorded";
  if (histogram.count() == 0) return text + "no waits";
  text += format_count(histogram.count()) + (histogram.count() == 1 ? " wait" : " waits");
  for (const auto& [name, q] : quantile_lines)
    text += ", " + std::string(name) + " " + format_duration(histogram.quantile_ns(q));
  return text + ", max " + (histogram.min_max_are_bounds() ? "~" : "") + format_duration(histogram.max_ns());
}

void print_columns(std::ostream& out, const History& history, const HistoryKey& key, const std::vector<Cells>& columns) {
  for (std::size_t x = 0; x < columns.size(); x++) {
    out << "<rect class=\"column\" x=\"" << x << "\" width=\"1\" height=\"" << height << "\" data-text=\""
        << column_text(history.columns[x], histogram_of(key.columns[x])) << "\" data-cells=\"";
    for (const auto& [row, waits] : columns[x]) out << row << ':' << format_count(waits) << ' ';
    out << "\"/>";
  }
}

// For whoever points at a cell: where rows begin, from the bottom, as y and as a duration.
std::string row_texts(const Rows& rows) {
  std::string text;
  for (std::uint32_t row = 0; row <= rows.count(); row++) {
    const std::uint64_t ns = row < rows.count() ? rows.lo_ns(row) : rows.hi_ns(row - 1);
    text += std::to_string(rows.y(static_cast<double>(ns))) + ":" + format_duration(ns) + " ";
  }
  return text;
}

void print_legend(std::ostream& out, std::uint64_t most) {
  out << "<p class=\"legend\"><span>waits per cell (at least):</span>";
  for (int level = 0; level < levels; level++) {
    const auto least =
        static_cast<std::uint64_t>(std::ceil(std::pow(static_cast<double>(most), static_cast<double>(level) / levels)));
    // Where there are few, not every darkness stands for a number of its own.
    if (level_of(least, most) != level) continue;
    out << " <span><i class=\"box b" << level << "\"></i>" << format_count(least) << "</span>";
  }
  out << "</p>\n";
}

}  // namespace

void print_heat_map(std::ostream& out, const History& history, const HistoryKey& key, const std::string& id) {
  const Rows rows(key.total.histogram);
  const std::vector<Cells> columns = cells_of(key, rows);
  out << "<div class=\"map\">";
  print_duration_axis(out, rows);
  out << "<svg role=\"img\" viewBox=\"0 0 " << columns.size() << " " << height << "\" preserveAspectRatio=\"none\" data-rows=\""
      << row_texts(rows) << "\" aria-label=\"How long waits took over time; Show data has the figures\">"
      << "<g id=\"" << id << "\">";
  print_cells(out, columns, rows);
  out << "</g>";
  print_lines(out, key, rows);
  print_columns(out, history, key, columns);
  out << "</svg>";
  print_line_labels(out, key, rows);
  print_time_axis(out, history);
  out << "</div>";
  print_legend(out, most_waits(columns));
}

void print_small_heat_map(std::ostream& out, const History& history, const std::string& id) {
  out << "<svg class=\"small\" aria-hidden=\"true\" viewBox=\"0 0 " << history.columns.size() << " " << height
      << "\" preserveAspectRatio=\"none\"><use href=\"#" << id << "\"/></svg>";
}

}  // namespace waitprobe
