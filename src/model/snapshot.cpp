// SPDX-License-Identifier: MIT
#include "src/model/snapshot.h"

#include <fnmatch.h>

#include <algorithm>
#include <iterator>
#include <tuple>

namespace waitprobe {
namespace {

auto identity(const Series& s) { return std::tie(s.process_start_ns, s.pid, s.key, s.key_len, s.distinct); }

}  // namespace

Coverage Snapshot::coverage() const {
  Coverage coverage;
  for (const Series& s : series) coverage.observed += s.histogram.count();
  coverage.lost = losses.sum();
  return coverage;
}

Snapshot interval(const Snapshot& later, const Snapshot& earlier) {
  Snapshot between;
  between.time_unix_ns = later.time_unix_ns;
  between.elapsed_ns = later.elapsed_ns - earlier.elapsed_ns;
  between.losses = {
      .series_full = later.losses.series_full - earlier.losses.series_full,
      .gap = later.losses.gap - earlier.losses.gap,
      .late = later.losses.late - earlier.losses.late,
      .reentered = later.losses.reentered - earlier.losses.reentered,
      .unreadable = later.losses.unreadable - earlier.losses.unreadable,
      .no_memory = later.losses.no_memory - earlier.losses.no_memory,
      .unfollowed = later.losses.unfollowed - earlier.losses.unfollowed,
  };
  std::copy_if(later.attached_late.begin(), later.attached_late.end(), std::back_inserter(between.attached_late),
               [&](const AttachedLate& late) { return late.elapsed_ns > earlier.elapsed_ns; });
  auto old = earlier.series.begin();
  for (const Series& s : later.series) {
    while (old != earlier.series.end() && identity(*old) < identity(s)) ++old;
    Series difference = s;
    if (old != earlier.series.end() && identity(*old) == identity(s)) difference.histogram = s.histogram.since(old->histogram);
    if (difference.histogram.count() != 0) between.series.push_back(std::move(difference));
  }
  return between;
}

void keep_keys(Snapshot& snapshot, const std::vector<std::string>& patterns) {
  if (patterns.empty()) return;
  std::erase_if(snapshot.series, [&](const Series& s) {
    return std::none_of(patterns.begin(), patterns.end(),
                        [&](const std::string& p) { return fnmatch(p.c_str(), s.key.c_str(), 0) == 0; });
  });
}

void merge_series(std::vector<Series>& series) {
  std::stable_sort(series.begin(), series.end(), [](const Series& a, const Series& b) { return identity(a) < identity(b); });
  std::vector<Series> merged;
  for (Series& s : series) {
    if (s.histogram.count() == 0) continue;
    if (!merged.empty() && identity(merged.back()) == identity(s)) {
      merged.back().histogram.add(s.histogram);
      merged.back().comm = s.comm;  // after an exec, the name of today
    } else {
      merged.push_back(std::move(s));
    }
  }
  series = std::move(merged);
}

}  // namespace waitprobe
