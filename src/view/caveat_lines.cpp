// SPDX-License-Identifier: MIT
#include "src/view/caveat_lines.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "src/view/columns.h"
#include "src/view/escape.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_lines = 12;  // of processes that are not verified

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + (count == 1 ? " process " : " processes ") + what;
}

std::size_t process_cnt(const std::vector<Unverified>& unverified) {
  std::set<std::uint32_t> pids;
  for (const Unverified& process : unverified) pids.insert(process.pid);
  return pids.size() - pids.count(0);
}

std::string with_file(const std::string& who, const std::string& file, std::size_t width) {
  return file.empty() ? who : who + ", " + shorten(escape(file), width_left(width, display_width(who) + 2));
}

std::string reason_text(const std::string& why) {
  const auto* row = std::find_if(std::begin(unverified_reasons), std::end(unverified_reasons),
                                 [&](const UnverifiedReason& reason) { return why == reason.name; });
  return escape(why) + (row != std::end(unverified_reasons) ? ": " + std::string(row->meaning) : "");
}

std::string late_line(const AttachedLate& late, std::size_t width) {
  const std::string when = " started " + format_duration(late.elapsed_ns) + " in; counted from then";
  const std::string who = shorten(escape(late.comm), 20) + " (" + std::to_string(late.pid) + ")";
  return with_file(who, late.file, width_left(width, display_width(when))) + when;
}

bool is_hidden(const Unverified& process) { return process.why == unverified::hidden.name; }

// Processes that differ in their number alone; those that were not looked into, in their name too.
struct Alike {
  const Unverified* first;
  std::set<std::uint32_t> pids;
};

std::vector<Alike> put_together(const std::vector<Unverified>& unverified) {
  std::vector<Alike> all;
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> index;
  for (const Unverified& process : unverified) {
    const auto [entry, is_new] =
        index.try_emplace({is_hidden(process) ? "" : process.comm, process.file, process.why}, all.size());
    if (is_new) all.push_back({&process, {}});
    all[entry->second].pids.insert(process.pid);
  }
  return all;
}

std::string who(const Alike& alike) {
  if (alike.first->pid == 0) return "not verified: some processes or files may be unknown";
  std::string text = "not verified: " + shorten(escape(alike.first->comm), 20) + " (" + std::to_string(alike.first->pid);
  if (alike.pids.size() == 1) return text + ")";
  const std::string more = " and " + std::to_string(alike.pids.size() - 1) + " more";
  return is_hidden(*alike.first) ? text + ")" + more : text + more + ")";
}

}  // namespace

std::string caveat_text(const Caveats& caveats) {
  std::string text;
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  const std::size_t cnt = process_cnt(caveats.unverified);
  if (cnt != 0) add(counted(cnt, "not verified"));
  if (!caveats.attached_late.empty())
    add(cnt == 0 ? counted(caveats.attached_late.size(), "attached late")
                 : std::to_string(caveats.attached_late.size()) + " attached late");
  if (std::any_of(caveats.unverified.begin(), caveats.unverified.end(), [](const Unverified& one) { return one.pid == 0; }))
    add("some processes may be unknown");
  return text;
}

std::vector<std::string> caveat_lines(const Caveats& caveats, std::size_t width) {
  std::vector<std::string> lines;
  for (const AttachedLate& one : caveats.attached_late) lines.push_back(late_line(one, width));
  const auto all = put_together(caveats.unverified);
  for (std::size_t i = 0; i < std::min(all.size(), most_lines); i++) {
    lines.push_back(with_file(who(all[i]), all[i].first->file, width));
    lines.push_back("  " + shorten(reason_text(all[i].first->why), width_left(width, 2)));
  }
  if (all.size() > most_lines) {
    std::size_t more = 0;
    for (std::size_t i = most_lines; i < all.size(); i++) more += all[i].pids.size();
    lines.push_back("not verified: " + std::to_string(more) + " more; --json names them");
  }
  return lines;
}

void print_caveats(std::ostream& out, const Caveats& caveats, std::size_t width) {
  for (const std::string& line : caveat_lines(caveats, width)) out << line << '\n';
}

}  // namespace waitprobe
