// SPDX-License-Identifier: MIT
#include "src/view/hist_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "src/view/columns.h"
#include "src/view/escape.h"
#include "src/view/group_table.h"
#include "src/view/hist_bars.h"
#include "src/view/loss_lines.h"
#include "src/view/note_lines.h"
#include "src/view/units.h"
#include "src/view/caveat_lines.h"

namespace waitprobe {
namespace {

void print_header(std::ostream& out, std::size_t key_columns, Colours colours) {
  out << emphasised(pad("key", key_columns) + header_text(), Emphasis::bold, colours) << '\n';
}

// Keys that would look alike in their column stand on lines of their own.
void print_rows(std::ostream& out, const std::vector<const Series*>& rows, std::uint64_t elapsed_ns, std::size_t key_columns,
                std::size_t width) {
  std::vector<std::string> labels;
  std::map<std::string, int> seen;
  for (const Series* row : rows) {
    labels.push_back(pad(shown_key(row->key, row->key_len), key_columns));
    seen[labels.back()]++;
  }
  for (std::size_t i = 0; i < rows.size(); i++) {
    std::string key = shown_key(rows[i]->key, rows[i]->key_len);
    if (seen[labels[i]] > 1 && display_width(key) > key_columns) {
      out << shorten(key, width) << '\n' << std::string(key_columns, ' ');
    } else {
      out << labels[i];
    }
    out << row_text(*rows[i], elapsed_ns) << '\n';
  }
}

// The processes in the order of their first rows, so that the most important one comes first.
std::vector<std::vector<const Series*>> by_process(const std::vector<const Series*>& rows) {
  std::vector<std::vector<const Series*>> groups;
  std::map<ProcessId, std::size_t> index;
  for (const Series* row : rows) {
    const auto [entry, fresh] = index.try_emplace(row->process(), groups.size());
    if (fresh) groups.emplace_back();
    groups[entry->second].push_back(row);
  }
  return groups;
}

bool are_of_several_hosts(const std::vector<Series>& all) {
  return std::any_of(all.begin(), all.end(), [&](const Series& s) { return s.host != all.front().host; });
}

std::string process_heading(const Series& one, bool with_host, std::size_t width) {
  const std::size_t room = width == unlimited_width ? width : 30;
  const std::string process = shorten(escape(one.comm), room) + " (" + pid_text(one) + ")";
  return with_host ? process + " on " + shorten(escape(one.host), room) : process;
}

// Rounded down, so that 100 % is told only when nothing is missing.
std::string percent(const Coverage& coverage) {
  const std::uint64_t all = coverage.observed + coverage.lost;
  const double exact = 100.0 * static_cast<double>(coverage.observed) / static_cast<double>(all);
  const auto hundredths =
      std::min<std::uint64_t>(static_cast<std::uint64_t>(std::floor(exact * 100)), coverage.lost != 0 ? 9999 : 10000);
  const std::string fraction = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + (coverage.lost != 0 ? "." + std::string(2 - fraction.size(), '0') + fraction : "") +
         " %";
}

void print_coverage(std::ostream& out, const Snapshot& snapshot, std::size_t width) {
  std::string text = coverage_text(snapshot);
  if (const std::size_t end = text.find("; "); end != std::string::npos && text.size() > width) text.replace(end, 2, "\n  ");
  out << text << '\n';
  if (snapshot.left_out_cnt != 0) out << "  not shown: " << waits(snapshot.left_out_cnt) << " of other keys\n";
  print_losses(out, snapshot.losses);
  if (snapshot.has_pytorch) out << "  " << pytorch_note << '\n';
  for (const std::string& line : note_lines(snapshot)) out << "  " << line << '\n';
}

}  // namespace

std::string coverage_text(const Snapshot& snapshot) {
  const Coverage coverage = snapshot.coverage();
  const std::uint64_t shown = coverage.observed - snapshot.left_out_cnt;
  const std::string none = snapshot.left_out_cnt == 0 ? "No waits were seen" : "No waits of these keys were seen";
  std::string text = (shown != 0 ? waits(shown) : none) + " in " + format_duration(snapshot.elapsed_ns);
  const bool is_any = coverage.observed + coverage.lost != 0;
  const std::string unverified = caveat_text(snapshot.caveats);
  if (unverified.empty()) {
    return is_any ? text + ", coverage " + percent(coverage) + (coverage.lost == 0 ? ": none was lost" : "") : text;
  }
  return is_any ? text + ", coverage " + percent(coverage) + " of waits seen; " + unverified : text + "; " + unverified;
}

void print_hist(std::ostream& out, const Snapshot& snapshot, const TableOptions& options) {
  if (!snapshot.group_by.empty()) {
    const bool is_one = std::all_of(snapshot.series.begin(), snapshot.series.end(),
                                    [&](const Series& s) { return s.process() == snapshot.series.front().process(); });
    if (is_one && !snapshot.series.empty()) out << process_heading(snapshot.series.front(), false, options.width) << '\n';
    print_groups(out, snapshot, options);
    print_coverage(out, snapshot, options.width);
    print_caveats(out, snapshot.caveats, options.width);
    return;
  }
  auto rows = sorted(snapshot.series, options.sort);
  const std::size_t more = options.top != 0 && rows.size() > options.top ? rows.size() - options.top : 0;
  rows.resize(rows.size() - more);
  const auto groups = by_process(rows);
  std::size_t longest = 0;
  for (const Series& s : snapshot.series) longest = std::max(longest, display_width(shown_key(s.key, s.key_len)));
  const std::size_t columns = key_columns(options.width, row_width(), longest);
  for (const auto& group : groups) {
    const Series& first = **std::max_element(group.begin(), group.end(),
                                             [](const Series* a, const Series* b) { return a->process_cnt < b->process_cnt; });
    if (first.pid != 0 || first.is_of_program()) {  // not where processes were added up
      out << process_heading(first, are_of_several_hosts(snapshot.series), options.width) << '\n';
    }
    print_header(out, columns, options.colours);
    print_rows(out, group, snapshot.elapsed_ns, columns, options.width);
    out << '\n';
    if (!options.bars) continue;
    for (const Series* row : group) {
      out << shorten(shown_key(row->key, row->key_len), options.width) << '\n';
      print_bars(out, row->histogram, options.width);
      out << '\n';
    }
  }
  if (more != 0) out << more << (more == 1 ? " more row" : " more rows") << " (--top " << options.top << ")\n\n";
  print_coverage(out, snapshot, options.width);
  print_caveats(out, snapshot.caveats, options.width);
}

}  // namespace waitprobe
