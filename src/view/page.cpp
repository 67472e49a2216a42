// SPDX-License-Identifier: MIT
#include "src/view/page.h"

#include <algorithm>
#include <set>

#include "page_assets.h"
#include "src/view/columns.h"
#include "src/view/escape.h"
#include "src/view/heat_map.h"
#include "src/view/hist_table.h"
#include "src/view/html_text.h"
#include "src/view/note_lines.h"
#include "src/view/units.h"
#include "src/view/caveat_lines.h"

namespace waitprobe {
namespace {

constexpr std::size_t page_line_width = 512;
constexpr std::size_t most_drawn = 100;  // keys; a page of thousands would be too large to open

struct Shown {
  const HistoryKey* key;
  std::string id;  // of its section; its drawing has one of its own
  bool is_drawn;
};

std::vector<Shown> in_order(const History& history, const std::string& sort) {
  std::vector<Shown> shown;
  for (const Series* s : sorted(history.total.series, sort)) {
    const auto index = static_cast<std::size_t>(s - history.total.series.data());
    const std::size_t place = shown.size();
    shown.push_back({&history.keys[index], "k" + std::to_string(place), place < most_drawn});
  }
  return shown;
}

std::string key_html(const Series& series) {
  // shown_key() escapes, html() would do so again.
  return series.key.empty() && series.key_len == 0 ? "(empty key)"
                                                   : html(series.key) + (series.key_len > series.key.size() ? "&hellip;" : "");
}

// What a key is that is no wait.
std::string mark_html(const Series& series) {
  if (series.key_class == KeyClass::wait) return "";
  return std::string(" <span class=\"mark\">") + name_of(series.key_class) + "</span>";
}

// "server, worker and 2 more"
std::string some_of(const std::set<std::string>& names) {
  constexpr std::size_t most_names = 3;
  std::string text;
  std::size_t place = 0;
  for (const std::string& name : names) {
    if (place++ == most_names) return text + " and " + std::to_string(names.size() - most_names) + " more";
    text += (text.empty() ? "" : ", ") + html(name);
  }
  return text;
}

// "Wait report: server (17) on web1"; the process is named where there is only one.
std::string title_of(const History& history) {
  std::set<std::string> programs, hosts;
  std::set<ProcessId> processes;
  for (const HistoryKey& key : history.keys) {
    for (const Series& series : key.processes) {
      programs.insert(series.comm);
      processes.insert(series.process());
      if (!series.host.empty()) hosts.insert(series.host);
    }
  }
  if (programs.empty()) return "Wait report";
  return "Wait report: " + some_of(programs) +
         (processes.size() == 1 && processes.begin()->pid != 0 ? " (" + std::to_string(processes.begin()->pid) + ")" : "") +
         (hosts.empty() ? "" : " on " + some_of(hosts));
}

void print_head(std::ostream& out, const std::string& title) {
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src "
         "'unsafe-inline'\">\n"
         "<title>"
      << title << "</title>\n<style>\n"
      << page_style << "</style>\n</head>\n<body>\n";
}

void print_top(std::ostream& out, const History& history, const std::string& title, const PageOptions& options) {
  out << "<header>\n<h1>" << title << "</h1>\n";
  for (const std::string& heading : options.headings) out << "<p class=\"heading\">" << html(heading) << "</p>\n";
  const Losses& losses = history.total.losses;
  out << "<p class=\"" << (losses.sum() != 0 || !history.total.caveats.empty() ? "coverage lost" : "coverage") << "\">"
      << html(coverage_text(history.total)) << "</p>\n";
  for (const LossRow& loss : all_losses) {
    if (losses.*loss.count != 0)
      out << "<p class=\"lost\">lost: " << loss.name << ' ' << losses.*loss.count << " (" << loss.meaning << ")</p>\n";
  }
  for (const std::string& line : caveat_lines(history.total.caveats, page_line_width)) {
    out << "<p class=\"lost\">" << html(line) << "</p>\n";
  }
  if (history.total.has_pytorch) out << "<p>" << html(pytorch_note) << "</p>\n";
  for (const std::string& line : note_lines(history.total)) out << "<p>" << html(line) << "</p>\n";
  out << "</header>\n";
}

void print_figures(std::ostream& out, const Series& series, std::uint64_t elapsed_ns) {
  for (const Column& column : columns()) {
    out << "<td class=\"n c-" << column.name << "\" data-value=\"" << column.value(series) << "\">"
        << column.text(series, elapsed_ns) << "</td>";
  }
}

void print_overview(std::ostream& out, const History& history, const std::vector<Shown>& keys, const std::string& sort) {
  out << "<section>\n<table class=\"keys sortable\">\n<thead><tr><th scope=\"col\"><button>key</button></th>";
  for (const Column& column : columns()) {
    out << "<th scope=\"col\" class=\"n c-" << column.name << "\"" << (sort == column.name ? " aria-sort=\"descending\"" : "")
        << "><button>" << column.header << "</button></th>";
  }
  out << "<th scope=\"col\" class=\"over-time\">over time</th></tr></thead>\n<tbody>\n";
  for (const Shown& shown : keys) {
    const Series& total = shown.key->total;
    out << "<tr data-class=\"" << static_cast<int>(total.key_class) << "\"><th scope=\"row\">"
        << (shown.is_drawn ? "<a href=\"#" + shown.id + "\">" : "") << key_html(total) << (shown.is_drawn ? "</a>" : "")
        << mark_html(total) << "</th>";
    print_figures(out, total, history.total.elapsed_ns);
    out << "<td class=\"over-time\">";
    if (shown.is_drawn) print_small_heat_map(out, history, "m" + shown.id);
    out << "</td></tr>\n";
  }
  out << "</tbody>\n</table>\n";
  if (keys.size() > most_drawn)
    out << "<p>Details are below for the first " << most_drawn << " of " << keys.size() << " keys.</p>\n";
  out << "<p class=\"hint\">total: time waited, all threads. waiters: threads waiting on average. "
         "p99: 1 wait in 100 took longer. ~: upper bound of the bucket. "
         "idle, work: keys that are no waits stand below the others."
         "<span class=\"scripted\"> Click a heading to sort.</span></p>\n</section>\n";
}

// All figures of a key in words, where the overview has no room.
void print_summary(std::ostream& out, const Series& series, std::uint64_t elapsed_ns) {
  const Histogram& all = series.histogram;
  const std::string bound = all.min_max_are_bounds() ? "~" : "";
  out << "<dl>";
  const auto item = [&](const char* name, const std::string& text) {
    out << "<div><dt>" << name << "</dt><dd>" << text << "</dd></div>";
  };
  item("count", std::to_string(all.count()));
  item("per second", format_rate(all.count(), elapsed_ns));
  item("total", format_duration(all.total_ns()));
  item("mean", format_duration(all.count() != 0 ? all.total_ns() / all.count() : 0));
  item("min", bound + format_duration(all.min_ns()));
  item("p50", format_duration(all.quantile_ns(0.5)));
  item("p90", format_duration(all.quantile_ns(0.9)));
  item("p99", format_duration(all.quantile_ns(0.99)));
  item("p99.9", format_duration(all.quantile_ns(0.999)));
  item("max", bound + format_duration(all.max_ns()));
  out << "</dl>\n";
}

void print_table_head(std::ostream& out, const char* first) {
  out << "<table>\n<thead><tr><th scope=\"col\">" << first << "</th>";
  for (const Column& column : columns())
    out << "<th scope=\"col\" class=\"n c-" << column.name << "\">" << column.header << "</th>";
  out << "</tr></thead>\n<tbody>\n";
}

void print_processes(std::ostream& out, const HistoryKey& key, std::uint64_t elapsed_ns) {
  if (key.processes.size() < 2) return;
  out << "<details><summary>" << key.processes.size() << " processes</summary>\n";
  print_table_head(out, "process");
  for (const Series& series : key.processes) {
    out << "<tr><th scope=\"row\">" << html(series.comm) << " (" << pid_text(series) << ")"
        << (series.host.empty() ? "" : " on " + html(series.host)) << "</th>";
    print_figures(out, series, elapsed_ns);
    out << "</tr>\n";
  }
  out << "</tbody>\n</table>\n</details>\n";
}

void print_columns_as_text(std::ostream& out, const History& history, const HistoryKey& key) {
  out << "<details><summary>Show data</summary>\n";
  print_table_head(out, "from");
  for (std::size_t x = 0; x < key.columns.size(); x++) {
    const HistoryColumn& column = history.columns[x];
    out << "<tr><th scope=\"row\">" << format_date_and_time(column.end_unix_ns - column.elapsed_ns) << "</th>";
    Series series = key.total;
    series.histogram = {};
    series.histogram.append(key.columns[x]);
    print_figures(out, series, column.elapsed_ns);
    out << "</tr>\n";
  }
  out << "</tbody>\n</table>\n</details>\n";
}

void print_details(std::ostream& out, const History& history, const Shown& shown) {
  const HistoryKey& key = *shown.key;
  out << "<section class=\"key\" id=\"" << shown.id << "\">\n<h2>" << key_html(key.total) << mark_html(key.total) << "</h2>\n";
  print_summary(out, key.total, history.total.elapsed_ns);
  out << "<figure>\n";
  print_heat_map(out, history, key, "m" + shown.id);
  const std::uint64_t column_ns = history.columns.empty() ? 0 : history.columns.front().elapsed_ns;
  out << "<figcaption>Each column is " << format_duration(column_ns)
      << " of time. Its cells show the durations of the waits that ended in it, on a logarithmic scale; the stronger the "
         "colour, the more waits. The lines are the p50, p90 and p99 of each column.</figcaption>\n</figure>\n";
  print_processes(out, key, history.total.elapsed_ns);
  print_columns_as_text(out, history, key);
  out << "</section>\n";
}

}  // namespace

void print_page(std::ostream& out, const History& history, const PageOptions& options) {
  const std::vector<Shown> keys = in_order(history, options.sort);
  const std::string title = title_of(history);
  print_head(out, title);
  print_top(out, history, title, options);
  out << "<main>\n";
  print_overview(out, history, keys, options.sort);
  for (const Shown& shown : keys) {
    if (shown.is_drawn) print_details(out, history, shown);
  }
  out << "</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n<script>\n" << page_script << "</script>\n</body>\n</html>\n";
}

}  // namespace waitprobe
