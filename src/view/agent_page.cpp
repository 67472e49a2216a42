// SPDX-License-Identifier: MIT
#include "src/view/agent_page.h"

#include <iomanip>
#include <ostream>
#include <sstream>

#include "src/view/caveat_lines.h"
#include "src/view/html_text.h"
#include "src/view/loss_lines.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t line_width = 160;
constexpr std::size_t most_open = 10;

std::string mebibytes(std::uint64_t bytes) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << static_cast<double>(bytes) / (1 << 20) << " MiB";
  return text.str();
}

void row(std::ostream& out, const std::string& name, const std::string& value) {
  out << "<tr><th align=\"left\">" << html(name) << "</th><td>" << html(value) << "</td></tr>\n";
}

std::string coverage_text(const AgentState& state) {
  const auto [observed, lost] = state.coverage;
  std::string text = format_count(observed) + " counted, " + format_count(lost) + " lost";
  if (const std::string caveats = caveat_text(state.caveats); !caveats.empty()) text += "; " + caveats;
  return text;
}

void print_unvouched(std::ostream& out, const AgentState& state) {
  if (state.losses.sum() == 0 && caveat_text(state.caveats).empty()) return;
  out << "<h2>Not vouched for</h2>\n<pre>\n";
  std::ostringstream lines;
  print_losses(lines, state.losses);
  print_caveats(lines, state.caveats, line_width);
  out << html_of_text(lines.str()) << "</pre>\n";
}

void print_open(std::ostream& out, const OpenWaits& open) {
  out << "<h2>Open waits</h2>\n";
  if (open.waits.empty()) {
    out << "<p>None is known. Those that began before the agent was attached are not.</p>\n";
    return;
  }
  out << "<p>" << open.waits.size() << " are known; the oldest:</p>\n<table>\n"
      << "<tr><th align=\"left\">age</th><th align=\"left\">key</th><th align=\"left\">class</th>"
      << "<th align=\"left\">program</th><th align=\"left\">pid</th></tr>\n";
  for (std::size_t i = 0; i < open.waits.size() && i < most_open; i++) {
    const OpenWait& wait = open.waits[i];
    out << "<tr><td>" << (wait.age_ns ? format_duration(*wait.age_ns) : "?") << "</td><td>" << html(wait.key) << "</td><td>"
        << name_of(wait.key_class) << "</td><td>" << html(wait.comm) << "</td><td>" << wait.pid << "</td></tr>\n";
  }
  out << "</table>\n";
}

void print_cost(std::ostream& out, const AgentState& state) {
  const AgentCost& cost = state.cost;
  out << "<h2>What the agent costs</h2>\n<table>\n";
  row(out, "CPU time", format_duration(cost.cpu_ns));
  row(out, "Time of BPF programs in other processes", format_duration(cost.bpf_run_ns));
  row(out, "Memory", mebibytes(cost.resident_bytes) + ", and " + mebibytes(cost.bpf_memory_bytes) + " for BPF in the kernel");
  row(out, "Open files", std::to_string(cost.open_fds));
  const std::string last = state.scrape_cnt != 0 ? "; the last one took " + format_duration(state.scrape_ns) : "";
  row(out, "Scrapes", format_count(state.scrape_cnt) + last);
  if (state.push) {
    row(out, "Pushes",
        format_count(state.push->sent_cnt) + " taken, " + format_count(state.push->failed_cnt) + " failed, " +
            format_count(state.push->dropped_cnt) + " given up");
    if (!state.push->last_error.empty()) row(out, "Last push", state.push->last_error);
  }
  out << "</table>\n";
}

}  // namespace

std::string agent_page(const AgentState& state) {
  std::ostringstream out;
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>waitprobe</title></head>\n<body>\n"
      << "<h1>waitprobe " << html(state.version) << "</h1>\n<p><a href=\"/metrics\">metrics</a> "
      << "<a href=\"/healthz\">health</a> <a href=\"/readyz\">readiness</a></p>\n<table>\n";
  row(out, "Since", format_date_and_time(state.start_unix_ns) + " " + format_time_zone(state.start_unix_ns));
  row(out, "Processes", format_count(state.target_cnt));
  row(out, "Programs and libraries", format_count(state.file_cnt));
  row(out, "Waits", coverage_text(state));
  out << "</table>\n";
  print_unvouched(out, state);
  print_open(out, state.open_waits);
  print_cost(out, state);
  out << "<p>Documentation: docs/operations.md and docs/metrics.md of waitprobe.</p>\n</body>\n</html>\n";
  return out.str();
}

}  // namespace waitprobe
