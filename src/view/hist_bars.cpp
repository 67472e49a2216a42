// SPDX-License-Identifier: MIT
#include "src/view/hist_bars.h"

#include <algorithm>
#include <array>
#include <string>

#include "src/view/escape.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

// 0 ns, then one row for each eight buckets, which end at a power of two of a second, and all above.
constexpr std::size_t rows = 1 + (WP_BUCKET_CNT - 2) / 8 + 1;
constexpr std::size_t label_width = 18, count_width = 8;

std::size_t row_of(std::uint32_t bucket) { return (bucket + 7) / 8; }

// The greatest duration of a row.
std::uint64_t row_bound(std::size_t row) { return wp_bucket_hi(static_cast<std::uint32_t>(8 * row)) - 1; }

std::string label(std::size_t row) {
  const std::string end = row + 1 < rows ? format_duration(row_bound(row)) : "more";
  return format_duration(row == 0 ? 0 : row_bound(row - 1)) + " .. " + end;
}

}  // namespace

void print_bars(std::ostream& out, const Histogram& histogram, std::size_t width) {
  std::array<std::uint64_t, rows> counts = {};
  for (std::uint32_t i = 0; i < WP_BUCKETS; i++) counts[row_of(i)] += histogram.bucket(i);
  std::size_t first = 0, last = rows;
  while (first < rows && counts[first] == 0) first++;
  while (last > first && counts[last - 1] == 0) last--;
  const std::uint64_t most = *std::max_element(counts.begin(), counts.end());
  const std::size_t used = label_width + 1 + count_width + 1;
  const std::size_t columns = width == unlimited_width ? 80 : width;
  const std::size_t room = columns > used + 10 ? columns - used : 10;
  for (std::size_t row = first; row < last; row++) {
    const auto length =
        static_cast<std::size_t>(static_cast<double>(counts[row]) / static_cast<double>(most) * static_cast<double>(room));
    out << align_right(label(row), label_width) << ' ' << align_right(format_count(counts[row]), count_width);
    if (counts[row] != 0) out << ' ' << std::string(std::max<std::size_t>(length, 1), '#');
    out << '\n';
  }
}

}  // namespace waitprobe
