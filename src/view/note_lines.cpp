// SPDX-License-Identifier: MIT
#include "src/view/note_lines.h"

#include <algorithm>

namespace waitprobe {

std::string waits(std::uint64_t count) { return std::to_string(count) + (count == 1 ? " wait" : " waits"); }

std::vector<std::string> note_lines(const Snapshot& snapshot) {
  std::vector<std::string> lines;
  if (snapshot.clamped_cnt != 0) lines.push_back(waits(snapshot.clamped_cnt) + " counted as 0 ns: their clock went backwards");
  // Those that have ended after all are told of as losses.
  const std::uint64_t never_ended = snapshot.abandoned_cnt - std::min(snapshot.abandoned_cnt, snapshot.losses.stale);
  if (never_ended != 0) lines.push_back(waits(never_ended) + " abandoned: left by longjmp, they never ended");
  return lines;
}

}  // namespace waitprobe
