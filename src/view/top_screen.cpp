// SPDX-License-Identifier: MIT
#include "src/view/top_screen.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <tuple>

#include "src/view/columns.h"
#include "src/view/escape.h"
#include "src/view/hist_bars.h"
#include "src/view/hist_table.h"
#include "src/view/note_lines.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t frame_lines = 5;  // title, summary, header; alert or end, keys
constexpr std::size_t least_key_width = 16, least_process_width = 10, most_process_width = 16, pid_width = 7;

const Snapshot& shown(const TopState& state, const TopData& data) { return state.totals ? *data.total : data.interval; }

// Where there is room for as many rows; a screen that is lower has rows instead.
std::vector<std::string> notes_of(const TopState& state, const TopData& data, std::size_t rows_of_screen) {
  auto notes = note_lines(shown(state, data));
  if (rows_of_screen < frame_lines + 2 * notes.size()) notes.clear();
  return notes;
}

std::size_t room_for_rows(const TopState& state, const TopData& data, std::size_t rows_of_screen) {
  const std::size_t others = frame_lines + notes_of(state, data, rows_of_screen).size();
  return rows_of_screen > others ? rows_of_screen - others : 0;
}

RowId id_of(const Series& series) { return {series.process_start_ticks, series.pid, series.key, series.distinct}; }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The rows that pass the filter, in order. Letters match in either case.
std::vector<const Series*> rows_of(const TopState& state, const TopData& data) {
  auto rows = sorted(shown(state, data).series, state.sort);
  if (state.filter.empty()) return rows;
  const std::string wanted = lower(state.filter);
  std::erase_if(rows, [&](const Series* series) {
    return lower(shown_key(series->key, series->key_len)).find(wanted) == std::string::npos &&
           lower(escape(series->comm)).find(wanted) == std::string::npos;
  });
  return rows;
}

// The selected row stays selected when others pass it by; when it has gone, the one in its place is.
void find_selection(TopState& state, const std::vector<const Series*>& rows) {
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const Series* row) { return id_of(*row) == state.selected; });
  if (same != rows.end()) {
    state.selected_row = static_cast<std::size_t>(same - rows.begin());
  } else {
    state.selected_row = rows.empty() ? 0 : std::min(state.selected_row, rows.size() - 1);
  }
}

void select(TopState& state, const std::vector<const Series*>& rows, std::size_t row) {
  if (rows.empty()) return;
  state.selected_row = std::min(row, rows.size() - 1);
  state.selected = id_of(*rows[state.selected_row]);
}

void sort_by_next(TopState& state, int step) {
  const auto names = sort_names();
  const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), state.sort) - names.begin());
  state.sort = names[(at + names.size() + static_cast<std::size_t>(step)) % names.size()];
}

void type(TopState& state, TopKey key, const std::string& text) {
  if (key == TopKey::text) {
    state.filter += text;
  } else if (key == TopKey::backspace) {
    while (!state.filter.empty() && (state.filter.back() & 0xc0) == 0x80) state.filter.pop_back();
    if (!state.filter.empty()) state.filter.pop_back();
  } else if (key == TopKey::enter) {
    state.is_typing = false;
  } else if (key == TopKey::escape) {
    state.is_typing = false;
    state.filter.clear();
  }
}

void press_letter(TopState& state, char letter) {
  switch (letter) {
    case 'q':
      state.quit = true;
      break;
    case '<':
      sort_by_next(state, -1);
      break;
    case '>':
    case 's':
      sort_by_next(state, 1);
      break;
    case 't':
      state.totals = !state.totals;
      break;
    case ' ':
    case 'p':
      state.paused = !state.paused;
      break;
    case '/':
      state.is_typing = true;
      break;
    case 'b':
      state.bars = !state.bars;
      break;
    case '?':
    case 'h':
      state.help = true;
      break;
    default:
      break;
  }
}

bool has_several_processes(const Snapshot& snapshot) {
  return std::any_of(snapshot.series.begin(), snapshot.series.end(),
                     [&](const Series& series) { return series.pid != snapshot.series.front().pid; });
}

// How a row is laid out.
struct Layout {
  bool with_process = false;
  std::vector<const Column*> columns;
  std::size_t key_width = 0;
  std::size_t process_width = least_process_width;
};

// The first that go where there is not room for all; never that which rows are sorted by.
constexpr const char* dispensable[] = {"count", "p90", "p50", "max", "rate", "p99", "waiters", "total"};

std::size_t width_beside_key(const Layout& layout) {
  std::size_t width = layout.with_process ? layout.process_width + pid_width + 2 : 0;
  for (const Column* column : layout.columns) width += 1 + column->width;
  return width;
}

Layout layout_of(const TopState& state, const TopData& data, std::size_t columns_of_screen) {
  Layout layout;
  layout.with_process = has_several_processes(*data.total);
  for (const Column& column : columns()) layout.columns.push_back(&column);
  std::size_t longest_key = 0;
  for (const Series& s : data.total->series) longest_key = std::max(longest_key, display_width(shown_key(s.key, s.key_len)));
  const std::size_t least_key = std::clamp<std::size_t>(longest_key, std::string("key").size(), least_key_width);
  for (const std::string name : dispensable) {
    if (width_beside_key(layout) + least_key <= columns_of_screen) break;
    if (name != state.sort) std::erase_if(layout.columns, [&](const Column* column) { return column->name == name; });
  }
  // The name of the process gets what no key needs, and at least half of what is to spare.
  const auto beyond = [&](std::size_t key_width) {
    const std::size_t used = width_beside_key(layout) + key_width;
    return columns_of_screen > used ? columns_of_screen - used : 0;
  };
  const std::size_t more = std::max(beyond(least_key) / 2, beyond(std::max(longest_key, least_key)));
  layout.process_width = std::min(least_process_width + more, most_process_width);
  layout.key_width = std::max(columns_of_screen, width_beside_key(layout) + least_key) - width_beside_key(layout);
  return layout;
}

// The column that rows are sorted by stands in capitals.
std::string header_of(const TopState& state, const Layout& layout) {
  const auto capitals = [&](const std::string& name, std::string header) {
    if (state.sort != name) return header;
    std::transform(header.begin(), header.end(), header.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return header;
  };
  std::string line = pad(capitals("key", "key"), layout.key_width);
  if (layout.with_process) line += ' ' + pad("process", layout.process_width) + ' ' + align_right("pid", pid_width);
  for (const Column* column : layout.columns) line += ' ' + align_right(capitals(column->name, column->header), column->width);
  return line;
}

std::string row_text(const Series& series, std::uint64_t elapsed_ns, const Layout& layout) {
  std::string line = pad(shown_key(series.key, series.key_len), layout.key_width);
  if (layout.with_process) {
    line += ' ' + pad(escape(series.comm), layout.process_width) + ' ' +
            align_right(series.is_of_program() ? "ended" : std::to_string(series.pid), pid_width);
  }
  const bool is_quiet = series.histogram.count() == 0;
  for (const Column* column : layout.columns) {
    line += ' ' + align_right(is_quiet ? "-" : column->text(series, elapsed_ns), column->width);
  }
  return line;
}

std::string title_of(const TopState& state, const TopData& data) {
  const std::string what = state.totals ? "since attached, " + format_duration(data.total->elapsed_ns)
                                        : "last " + format_duration(data.interval.elapsed_ns);
  return (state.paused ? "PAUSED: " : "waitprobe top: ") + shorten(escape(data.target), 36) + "  " + what + ", by " +
         state.sort;
}

// Of all keys, whatever the filter shows.
TopLine summary_of(const TopState& state, const TopData& data) {
  const Snapshot& snapshot = shown(state, data);
  const Losses& losses = snapshot.losses;
  TopLine line{coverage_text(snapshot), losses.sum() != 0 || !snapshot.caveats.empty() ? TopStyle::alert : TopStyle::plain};
  for (const LossRow& loss : all_losses) {
    if (losses.*loss.count != 0) line.text += std::string(", ") + loss.name + " " + std::to_string(losses.*loss.count);
  }
  return line;
}

TopLine bottom_of(const TopState& state) {
  if (state.is_typing) return {"filter: " + escape(state.filter) + "_   Enter keeps it, Esc clears it", TopStyle::title};
  const std::string filter = state.filter.empty() ? "/ filter" : "/ filter (" + escape(state.filter) + ")";
  return {"q quit  < > sort  t totals  space pause  " + filter + "  enter bars  ? help", TopStyle::dim};
}

TopLine alert_of(const TopData& data) {
  if (!data.ended.empty()) return {shorten(escape(data.target), 32) + " " + data.ended + "; q quits", TopStyle::alert};
  return {data.alert.empty() ? "" : "warning: " + escape(data.alert), TopStyle::alert};
}

std::vector<TopLine> help_lines() {
  std::vector<TopLine> lines;
  for (const char* text : {
           "up down PgUp PgDn Home End   select a row",
           "< > or left right            sort by the previous or the next column",
           "t                            the last interval, or everything since attached",
           "space or p                   pause the screen, or resume; counting goes on",
           "/                            show only keys and processes that contain a text",
           "enter or b                   the histogram of the selected key, or back",
           "q or Ctrl-C                  quit",
           "",
           "Sorted by the column in capitals. ~ upper bound of the bucket.",
           "total: time waited by all threads; waiters: threads waiting on average",
       }) {
    lines.push_back({text, TopStyle::plain});
  }
  return lines;
}

// The selected row, and how its waits are spread.
std::vector<TopLine> bar_lines(const Series& series, std::uint64_t elapsed_ns, const Layout& layout,
                               std::size_t columns_of_screen) {
  std::vector<TopLine> lines = {{row_text(series, elapsed_ns, layout), TopStyle::selected}, {"", TopStyle::plain}};
  std::ostringstream out;
  print_bars(out, series.histogram, columns_of_screen);
  std::istringstream text(out.str());
  for (std::string line; std::getline(text, line);) lines.push_back({line, TopStyle::plain});
  return lines;
}

std::vector<TopLine> row_lines(TopState& state, const std::vector<const Series*>& rows, std::uint64_t elapsed_ns,
                               const Layout& layout, std::size_t room) {
  state.first_row = std::min(state.first_row, state.selected_row);
  if (room != 0 && state.selected_row >= state.first_row + room) state.first_row = state.selected_row - room + 1;
  std::vector<TopLine> lines;
  for (std::size_t i = state.first_row; i < rows.size() && lines.size() < room; i++) {
    lines.push_back({row_text(*rows[i], elapsed_ns, layout), i == state.selected_row ? TopStyle::selected : TopStyle::plain});
  }
  return lines;
}

std::vector<TopLine> body_of(TopState& state, const TopData& data, const Layout& layout, std::size_t room,
                             std::size_t columns_of_screen) {
  if (state.help) return help_lines();
  const auto rows = rows_of(state, data);
  find_selection(state, rows);
  const std::uint64_t elapsed_ns = shown(state, data).elapsed_ns;
  if (rows.empty())
    return {{state.filter.empty() ? "no waits" : "no waits of keys or processes that contain the filter", TopStyle::dim}};
  if (state.bars) return bar_lines(*rows[state.selected_row], elapsed_ns, layout, columns_of_screen);
  return row_lines(state, rows, elapsed_ns, layout, room);
}

}  // namespace

void press(TopState& state, const TopData& data, TopKey key, const std::string& text, std::size_t rows_of_screen) {
  if (state.help) {
    state.help = false;
    return;
  }
  if (state.is_typing) {
    const bool moves = key != TopKey::text && key != TopKey::backspace && key != TopKey::enter && key != TopKey::escape;
    if (!moves) return type(state, key, text);
  }
  const auto rows = rows_of(state, data);
  find_selection(state, rows);
  const std::size_t at = state.selected_row, page = std::max<std::size_t>(room_for_rows(state, data, rows_of_screen), 1);
  switch (key) {
    case TopKey::text:
      if (text.size() == 1) press_letter(state, text[0]);
      break;
    case TopKey::up:
      select(state, rows, at == 0 ? 0 : at - 1);
      break;
    case TopKey::down:
      select(state, rows, at + 1);
      break;
    case TopKey::page_up:
      select(state, rows, at > page ? at - page : 0);
      break;
    case TopKey::page_down:
      select(state, rows, at + page);
      break;
    case TopKey::home:
      select(state, rows, 0);
      break;
    case TopKey::end:
      select(state, rows, rows.size());
      break;
    case TopKey::left:
      sort_by_next(state, -1);
      break;
    case TopKey::right:
      sort_by_next(state, 1);
      break;
    case TopKey::enter:
      select(state, rows, at);
      state.bars = !state.bars;
      break;
    case TopKey::escape:
      state.filter.clear();
      state.bars = false;
      break;
    case TopKey::backspace:
      break;
  }
}

void add_quiet_series(Snapshot& interval, const Snapshot& total) {
  std::set<std::tuple<std::uint64_t, std::uint32_t, std::string, std::uint64_t>> there;
  const auto identity = [](const Series& s) { return std::make_tuple(s.process_start_ticks, s.pid, s.key, s.distinct); };
  for (const Series& series : interval.series) there.insert(identity(series));
  for (const Series& series : total.series) {
    if (there.contains(identity(series))) continue;
    interval.series.push_back(series);
    interval.series.back().histogram = Histogram();
  }
}

std::vector<TopLine> render(TopState& state, const TopData& data, std::size_t rows, std::size_t columns_of_screen) {
  const Layout layout = layout_of(state, data, columns_of_screen);
  const std::size_t room = room_for_rows(state, data, rows);
  std::vector<TopLine> lines = {
      {title_of(state, data), TopStyle::title}, summary_of(state, data), {header_of(state, layout), TopStyle::header}};
  auto body = body_of(state, data, layout, room, columns_of_screen);
  body.resize(room);
  lines.insert(lines.end(), body.begin(), body.end());
  for (const std::string& note : notes_of(state, data, rows)) lines.push_back({note, TopStyle::plain});
  lines.push_back(alert_of(data));
  lines.push_back(bottom_of(state));
  // A screen that is too low keeps its beginning.
  lines.resize(rows);
  for (TopLine& line : lines) line.text = cut(line.text, columns_of_screen);
  return lines;
}

}  // namespace waitprobe
