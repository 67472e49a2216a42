// SPDX-License-Identifier: MIT
#include "src/view/note_lines.h"

#include <algorithm>

#include "src/model/rights.h"
#include "src/model/series_totals.h"
#include "src/view/escape.h"

namespace waitprobe {

std::string waits(std::uint64_t count) { return std::to_string(count) + (count == 1 ? " wait" : " waits"); }

void print_unseen(std::ostream& out, const Unseen& unseen) {
  const std::uint32_t count = unseen.process_cnt;
  if (count != 0) {
    out << std::to_string(count) << (count == 1 ? " more process" : " more processes") << " could not be read"
        << (unseen.has_all_rights ? "" : ": permission denied") << "\n";
  }
  if (unseen.may_be_more) out << "processes of others could not be read: /proc hides them (hidepid)\n";
  if (unseen.any() && !unseen.has_all_rights) out << indented(rights_fix);
}

std::string abandoned_text(std::uint64_t count) {
  return waits(count) + " abandoned: a longjmp left " + (count == 1 ? "it" : "them") + " open";
}

std::string pid_text(const Series& series) {
  if (!series.is_of_program()) return std::to_string(series.pid);
  return series.process_cnt > 1 ? std::to_string(series.process_cnt) + " ended" : "ended";
}

std::vector<std::string> note_lines(const Snapshot& snapshot) {
  std::vector<std::string> lines;
  if (snapshot.clamped_cnt != 0) lines.push_back(waits(snapshot.clamped_cnt) + " counted as 0 ns: their clock went backwards");
  if (snapshot.never_ended_cnt() != 0) lines.push_back(abandoned_text(snapshot.never_ended_cnt()));
  if (snapshot.added_up_cnt != 0) {
    lines.push_back(std::to_string(snapshot.added_up_cnt) + " ended processes are added up by program and key");
  }
  const auto is_of_others = [](const Series& s) { return s.key == other_keys; };
  if (std::any_of(snapshot.series.begin(), snapshot.series.end(), is_of_others)) {
    lines.push_back(std::string(other_keys) + " are those of a process, or of all programs, after the first " +
                    std::to_string(most_series));
  }
  return lines;
}

}  // namespace waitprobe
