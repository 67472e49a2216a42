// SPDX-License-Identifier: MIT
#include "src/view/stuck_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include "src/view/escape.h"
#include "src/view/frame_text.h"
#include "src/view/group_column.h"
#include "src/view/holder_lines.h"
#include "src/view/key_text.h"
#include "src/view/note_lines.h"
#include "src/view/caveat_lines.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t age_width = 6, number_width = 7, indent = 7;
constexpr std::size_t most_lasting = 10, most_untracked = 5, most_groups = 3;

// Without the mark of idle ones: their heading says so.
KeyText key_of(const OpenWait& wait) {
  return {wait.key, wait.key_len, wait.key_class == KeyClass::idle ? KeyClass::wait : wait.key_class};
}

// Rows of one width.
class Rows {
 public:
  Rows(const OpenWaits& found, const StuckTableOptions& options) : groups_(found.group_by, options.width), options_(options) {
    for (const OpenWait& wait : found.waits) groups_.add(wait.group);
    std::size_t longest = 0;
    for (const OpenWait& wait : found.waits) longest = std::max(longest, key_of(wait).width());
    const std::size_t beside = age_width + 2 * number_width + 5 + groups_.width();
    name_width_ = name_columns(options.width, beside + longest);
    key_width_ = key_columns(options.width, beside + 2 * name_width_, longest);
  }

  void print_header(std::ostream& out) const {
    const std::string header = align_right("age", age_width) + ' ' + pad("key", key_width_) + groups_.header() + ' ' +
                               pad("process", name_width_) + ' ' + align_right("pid", number_width) + ' ' +
                               pad("thread", name_width_) + ' ' + align_right("tid", number_width);
    out << emphasised(header, Emphasis::bold, options_.colours) << '\n';
  }

  void print(std::ostream& out, const OpenWait& wait, Emphasis emphasis) const {
    const std::string age = align_right(wait.age_ns ? format_duration(*wait.age_ns) : "?", age_width);
    const std::string key = key_of(wait).padded(key_width_);
    const std::string thread = wait.tid == 0 ? "(ended)" : wait.thread.empty() ? "-" : escape(wait.thread);
    out << emphasised(age + ' ' + key, emphasis, options_.colours) << groups_.text(wait.group) << ' '
        << pad_in(escape(wait.comm), name_width_, options_.width) << ' ' << align_right(std::to_string(wait.pid), number_width)
        << ' ' << pad_in(thread, name_width_, options_.width) << ' '
        << align_right(wait.tid != 0 ? std::to_string(wait.tid) : "-", number_width) << '\n';
  }

 private:
  GroupColumn groups_;
  StuckTableOptions options_;
  std::size_t name_width_;
  std::size_t key_width_;
};

void print_detail(std::ostream& out, const std::string& text, const StuckTableOptions& options) {
  out << std::string(indent, ' ') << shorten(text, options.width - indent) << '\n';
}

void print_wait(std::ostream& out, const OpenWaits& found, const OpenWait& wait, const Rows& rows,
                const StuckTableOptions& options) {
  rows.print(out, wait, Emphasis::alert);
  const std::string state = state_text(wait.state, wait.system_call, wait.wchan);
  if (!state.empty()) print_detail(out, state, options);
  if (!wait.trace_id.empty()) print_detail(out, "trace " + wait.trace_id, options);
  if (!wait.no_stack_reason.empty()) print_detail(out, "no stack: " + escape(wait.no_stack_reason), options);
  print_frames(out, wait.stack, indent + 2, options.width, options.colours);
  print_holders(out, found, wait, indent, options.width, options.colours);
}

// Those that are meant to last, and why.
void print_lasting(std::ostream& out, const std::vector<const OpenWait*>& lasting, const Rows& rows, bool is_first) {
  constexpr std::pair<Lasting, const char*> reasons[] = {
      {Lasting::by_class, "idle, as the program says"},
      {Lasting::by_option, "idle, by --idle"},
      {Lasting::by_evidence, "probably idle: threads that have waited for this alone since they started"}};
  for (const auto& [why, heading] : reasons) {
    std::size_t cnt = 0;
    for (const OpenWait* wait : lasting) {
      if (wait->lasting != why) continue;
      if (cnt == 0) out << heading << ":\n";
      if (cnt == 0 && std::exchange(is_first, false)) rows.print_header(out);
      if (cnt++ < most_lasting) rows.print(out, *wait, Emphasis::dim);
    }
    if (cnt > most_lasting) {
      out << std::string(indent, ' ') << "and " << std::to_string(cnt - most_lasting) << " more; --json shows all\n";
    }
  }
}

void print_summary(std::ostream& out, const OpenWaits& found, std::size_t stuck_cnt) {
  if (!found.ages_are_known) {
    out << waits(stuck_cnt) << " open; ages unknown (the time of the dump is unknown); oldest first\n";
  } else {
    const char* const none = found.waits.empty() ? "No wait" : "No other wait";
    out << (stuck_cnt != 0 ? waits(stuck_cnt) : none) << (found.is_of_some_keys ? " of these keys" : "")
        << (stuck_cnt != 0 || found.is_certain() ? "" : " was found")
        << (stuck_cnt == 0 && found.is_certain() ? " is open" : " open");
    if (found.older_ns != 0) out << " for " << format_duration(found.older_ns) << " or more";
    if (found.younger_cnt != 0) out << "; " << std::to_string(found.younger_cnt) << " open for less";
    out << '\n';
  }
  if (found.stopped_cnt == 1) out << "1 thread was stopped for " << format_duration(found.stopped_ns) << '\n';
  if (found.stopped_cnt > 1) {
    out << std::to_string(found.stopped_cnt) << " threads were stopped, one at a time, for at most "
        << format_duration(found.stopped_ns) << '\n';
  }
}

std::string text_of(const OpenWaits::Process& process) {
  return shorten(escape(process.comm), 20) + " (" + std::to_string(process.pid) + ")";
}

// Whoever is missing where the others wait.
void print_groups_without(std::ostream& out, const OpenWaits& found, std::size_t width) {
  if (found.groups_without.empty() || found.waits.empty()) return;
  const std::string variable = shorten(escape(found.group_by), 20);
  const GroupColumn groups(found.group_by, width);
  for (std::size_t i = 0; i < std::min(found.groups_without.size(), most_groups); i++) {
    const OpenWaits::GroupWithout& without = found.groups_without[i];
    out << "no stuck wait found: " << variable << ' ' << groups.shown(without.group);
    if (!without.processes.empty()) out << ": " << text_of(without.processes.front());
    if (without.processes.size() > 1) out << " and " << without.processes.size() - 1 << " more";
    out << '\n';
  }
  if (found.groups_without.size() > most_groups) {
    out << "no stuck wait found: " << found.groups_without.size() - most_groups << " more; --json names them\n";
  }
}

void print_unknown(std::ostream& out, const OpenWaits& found) {
  if (!found.untracked.empty()) {
    out << "unknown: waits that began while no tracer was attached, in";
    for (std::size_t i = 0; i < std::min(found.untracked.size(), most_untracked); i++) {
      out << "\n  " << text_of(found.untracked[i]);
    }
    if (found.untracked.size() > most_untracked)
      out << "\n  and " << std::to_string(found.untracked.size() - most_untracked) << " more";
    out << "\n  to see them, start the program with WAITPROBE_TRACK=1\n";
  }
  for (const OpenWaits::Process& process : found.crowded) {
    out << "unknown: more than 65,536 waits are open in " << text_of(process) << '\n';
  }
  for (const OpenWaits::Process& process : found.other_abi) {
    out << "unknown: waits of another version of libwaitprobe, in " << text_of(process) << '\n';
  }
  print_unseen(out, found.unseen);
  if (found.has_pytorch) out << pytorch_note << '\n';
  const auto ageless = std::count_if(found.waits.begin(), found.waits.end(), [](const OpenWait& wait) { return !wait.age_ns; });
  if (found.ages_are_known && ageless != 0) {
    out << "age unknown (?): " << std::to_string(ageless) << " (time namespace offset or cycle counter not readable)\n";
  }
}

}  // namespace

void print_stuck(std::ostream& out, const OpenWaits& found, const StuckTableOptions& options) {
  std::vector<const OpenWait*> stuck, lasting;
  for (const OpenWait& wait : found.waits) (wait.lasting == Lasting::no ? stuck : lasting).push_back(&wait);
  const Rows rows(found, options);
  if (!stuck.empty()) rows.print_header(out);
  for (const OpenWait* wait : stuck) print_wait(out, found, *wait, rows, options);
  if (!stuck.empty() && !lasting.empty()) out << '\n';
  print_lasting(out, lasting, rows, stuck.empty());
  if (!found.waits.empty()) out << '\n';
  print_deadlocks(out, found.deadlocks, options.width, options.colours);
  print_summary(out, found, stuck.size());
  print_sleepers(out, found.sleepers, options.width);
  print_groups_without(out, found, options.width);
  print_unknown(out, found);
}

}  // namespace waitprobe
