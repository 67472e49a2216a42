// SPDX-License-Identifier: MIT
#include "src/view/group_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "src/model/groups.h"
#include "src/view/columns.h"
#include "src/view/escape.h"
#include "src/view/group_column.h"
#include "src/view/hist_bars.h"
#include "src/view/key_text.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t total_width = 6;

std::size_t longest_of(const std::vector<KeyInGroups>& keys) {
  std::size_t longest = 0;
  for (const KeyInGroups& key : keys) longest = std::max(longest, KeyText(key.all).width());
  return longest;
}

// Keys in the order that is wanted of the rows.
std::vector<KeyInGroups> keys_in_order(const Snapshot& snapshot, const std::string& sort) {
  std::vector<KeyInGroups> keys = by_key_and_group(snapshot.series);
  std::vector<Series> sums;
  for (const KeyInGroups& key : keys) sums.push_back(key.all);
  std::vector<KeyInGroups> ordered;
  for (const Series* sum : sorted(sums, sort)) ordered.push_back(std::move(keys[static_cast<std::size_t>(sum - sums.data())]));
  return ordered;
}

// The key once, on a line of its own if it is too long for its column.
void print_rows(std::ostream& out, const KeyInGroups& key, std::size_t key_columns, const GroupColumn& column,
                std::uint64_t elapsed_ns, std::size_t width) {
  const KeyText text(key.all);
  std::string label = text.whole();
  if (text.width() > key_columns) {
    out << text.shortened(width) << '\n';
    label.clear();
  }
  for (const Series& group : key.groups) {
    out << pad(label, key_columns) << column.text(group.group) << row_text(group, elapsed_ns) << '\n';
    label.clear();
  }
}

void print_bars_of(std::ostream& out, const KeyInGroups& key, const GroupColumn& column, const TableOptions& options) {
  for (const Series& group : key.groups) {
    const std::string whose = ", " + column.name() + " " + column.shown(group.group);
    out << KeyText(group).shortened(width_left(options.width, display_width(whose))) << whose << '\n';
    print_bars(out, group.histogram, options.width);
    out << '\n';
  }
}

void print_spread(std::ostream& out, const std::vector<KeyInGroups>& keys, const GroupColumn& column,
                  const TableOptions& options) {
  std::vector<std::pair<Spread, const Series*>> rows;
  for (const KeyInGroups& key : keys) {
    if (const auto spread = spread_of(key)) rows.emplace_back(*spread, &key.all);
  }
  if (rows.empty()) return;
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    const KeyClass class_a = a.second->key_class, class_b = b.second->key_class;
    return class_a != class_b ? class_a < class_b : a.first.ns > b.first.ns;
  });
  const std::size_t columns = key_columns(options.width, 3 * (1 + total_width) + 2 * column.width(), longest_of(keys));
  const auto end = [&](const Series& group) {
    return ' ' + align_right(format_duration(group.histogram.total_ns()), total_width) + column.text(group.group);
  };
  const std::string header = pad("total, by " + column.name(), columns) + ' ' + align_right("least", total_width) +
                             column.header() + ' ' + align_right("most", total_width) + column.header() + ' ' +
                             align_right("spread", total_width);
  out << emphasised(header, Emphasis::bold, options.colours) << '\n';
  for (const auto& [spread, key] : rows) {
    out << KeyText(*key).padded(columns) << end(*spread.least) << end(*spread.most) << ' '
        << align_right(format_duration(spread.ns), total_width) << '\n';
  }
  out << "at a barrier, the group that waits least arrives last\n\n";
}

}  // namespace

void print_groups(std::ostream& out, const Snapshot& snapshot, const TableOptions& options) {
  const std::vector<KeyInGroups> keys = keys_in_order(snapshot, options.sort);
  if (keys.empty()) return;
  GroupColumn column(snapshot.group_by, options.width);
  bool any = false;
  for (const Series& s : snapshot.series) {
    column.add(s.group);
    any = any || s.group.has_value();
  }
  const std::size_t columns = key_columns(options.width, column.width() + row_width(), longest_of(keys));
  out << emphasised(pad("key", columns) + column.header() + header_text(), Emphasis::bold, options.colours) << '\n';
  for (const KeyInGroups& key : keys) print_rows(out, key, columns, column, snapshot.elapsed_ns, options.width);
  out << '\n';
  if (options.bars) {
    for (const KeyInGroups& key : keys) print_bars_of(out, key, column, options);
  }
  print_spread(out, keys, column, options);
  if (!any) out << "no process was found with " << escape(snapshot.group_by) << " in its environment\n";
}

}  // namespace waitprobe
