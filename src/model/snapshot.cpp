// SPDX-License-Identifier: MIT
#include "src/model/snapshot.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <tuple>

#include "src/model/key_patterns.h"

namespace waitprobe {
namespace {

auto identity(const SeriesId& id) { return std::tie(id.host, id.process_start_ticks, id.pid, id.key, id.key_len, id.distinct); }

std::uint64_t growth(std::uint64_t later, std::uint64_t earlier) { return later > earlier ? later - earlier : 0; }

Losses growth(const Losses& later, const Losses& earlier) {
  Losses between;
  for (const LossRow& loss : all_losses) between.*loss.count = growth(later.*loss.count, earlier.*loss.count);
  return between;
}

// FNV-1a.
std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 0xcbf29ce484222325) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

const Series* find(const std::vector<Series>& all, const SeriesId& id) {
  const auto at = std::lower_bound(all.begin(), all.end(), id, is_before);
  return at != all.end() && identity(*at) == identity(id) ? &*at : nullptr;
}

// The earlier series that the later ones do not have: they are of processes that have been added up since.
std::vector<std::size_t> moved_since(const std::vector<Series>& earlier, const std::vector<Series>& later) {
  std::vector<std::size_t> moved;
  auto at = later.begin();
  for (std::size_t i = 0; i < earlier.size(); i++) {
    while (at != later.end() && identity(*at) < identity(earlier[i])) ++at;
    const bool is_there = at != later.end() && identity(*at) == identity(earlier[i]);
    if (!is_there && !earlier[i].is_of_program()) moved.push_back(i);
  }
  return moved;
}

// The earlier series, where the later ones have them.
std::vector<Series> moved_to(std::vector<Series> earlier, const std::vector<std::size_t>& moved,
                             const std::vector<Series>& later) {
  for (const std::size_t i : moved) {
    const SeriesId id = id_in_program(earlier[i]);
    static_cast<SeriesId&>(earlier[i]) = find(later, id) != nullptr ? id : id_in_other_programs();
  }
  merge_series(earlier);
  return earlier;
}

// The series of a process follow each other.
void regroup(std::vector<ProcessGroup>& all, const Series& s) {
  if (all.empty() || all.back().process != s.process()) all.push_back({s.process(), s.group});
}

}  // namespace

SeriesId id_in_program(const Series& s) {
  constexpr std::uint64_t after_all_starts = std::uint64_t{1} << 52;  // the greatest that JSON's numbers still have room for
  SeriesId id = s;
  id.pid = 0;
  const std::uint64_t hash = s.group ? hash_of(*s.group, hash_of(std::string_view("\0", 1), hash_of(s.comm))) : hash_of(s.comm);
  id.process_start_ticks = after_all_starts | (hash & (after_all_starts - 1));
  return id;
}

SeriesId id_in_other_programs() {
  Series other;
  other.comm = other_programs;
  other.key = other_keys;
  other.key_len = other.key.size();
  return id_in_program(other);
}

bool is_before(const SeriesId& a, const SeriesId& b) { return identity(a) < identity(b); }

std::uint64_t Losses::sum() const {
  std::uint64_t sum = 0;
  for (const LossRow& loss : all_losses) sum += this->*loss.count;
  return sum;
}

Coverage Snapshot::coverage() const {
  Coverage coverage;
  coverage.observed = left_out_cnt;
  for (const Series& s : series) coverage.observed += s.histogram.count();
  coverage.lost = losses.sum();
  return coverage;
}

Snapshot interval(const Snapshot& later, const Snapshot& earlier) {
  Snapshot between;
  between.time_unix_ns = later.time_unix_ns;
  between.elapsed_ns = growth(later.elapsed_ns, earlier.elapsed_ns);
  between.group_by = later.group_by;
  between.added_up_cnt = later.added_up_cnt;
  between.left_out_cnt = growth(later.left_out_cnt, earlier.left_out_cnt);
  between.losses = growth(later.losses, earlier.losses);
  between.has_pytorch = later.has_pytorch;
  between.clamped_cnt = growth(later.clamped_cnt, earlier.clamped_cnt);
  between.abandoned_cnt = growth(later.abandoned_cnt, earlier.abandoned_cnt);
  const std::set<AttachedLate> told(earlier.caveats.attached_late.begin(), earlier.caveats.attached_late.end());
  std::copy_if(later.caveats.attached_late.begin(), later.caveats.attached_late.end(),
               std::back_inserter(between.caveats.attached_late),
               [&](const AttachedLate& late) { return !told.contains(late); });
  std::copy_if(later.caveats.unverified.begin(), later.caveats.unverified.end(), std::back_inserter(between.caveats.unverified),
               [&](const Unverified& process) { return process.until_ns > earlier.elapsed_ns; });
  const auto moved = moved_since(earlier.series, later.series);
  const auto moved_series = moved.empty() ? std::vector<Series>() : moved_to(earlier.series, moved, later.series);
  const std::vector<Series>& before = moved.empty() ? earlier.series : moved_series;
  auto old = before.begin();
  for (const Series& s : later.series) {
    while (old != before.end() && identity(*old) < identity(s)) ++old;
    Series difference = s;
    if (old != before.end() && identity(*old) == identity(s)) {
      difference.histogram = s.histogram.since(old->histogram);
      if (old->group != s.group) regroup(between.regrouped, s);
    }
    if (difference.histogram.count() != 0) between.series.push_back(std::move(difference));
  }
  return between;
}

void classify(Snapshot& snapshot, const ClassGlobs& globs) {
  if (globs.empty()) return;
  for (Series& s : snapshot.series) s.key_class = class_of(s.key, s.key_class, globs);
}

void keep_keys(Snapshot& snapshot, const std::vector<std::string>& patterns) {
  std::erase_if(snapshot.series, [&](const Series& s) {
    if (is_wanted(s.key, patterns)) return false;
    snapshot.left_out_cnt += s.histogram.count();
    return true;
  });
}

void merge_series(std::vector<Series>& series) {
  // Pointers are sorted: a series is large.
  std::vector<Series*> order;
  for (Series& s : series) {
    if (s.histogram.count() != 0) order.push_back(&s);
  }
  std::stable_sort(order.begin(), order.end(), [](const Series* a, const Series* b) { return is_before(*a, *b); });
  std::vector<Series> merged;
  merged.reserve(order.size());
  for (Series* s : order) {
    if (!merged.empty() && identity(merged.back()) == identity(*s)) {
      merged.back().histogram.add(s->histogram);
      merged.back().comm = s->comm;  // after an exec, the name of today
      merged.back().process_cnt = std::max(merged.back().process_cnt, s->process_cnt);
      merged.back().key_class = common_class(merged.back().key_class, s->key_class);
    } else {
      merged.push_back(std::move(*s));
    }
  }
  series = std::move(merged);
}

void add_up_processes(std::vector<Series>& series) {
  for (Series& s : series)
    static_cast<SeriesId&>(s) = {.host = {},
                                 .pid = 0,
                                 .process_start_ticks = 0,
                                 .comm = {},
                                 .key = std::move(s.key),
                                 .key_len = s.key_len,
                                 .distinct = 0,
                                 .key_class = s.key_class};
  merge_series(series);
}

}  // namespace waitprobe
