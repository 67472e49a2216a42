// SPDX-License-Identifier: MIT
#include "src/model/recordings.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace waitprobe {
namespace {

struct ById {
  bool operator()(const SeriesId& a, const SeriesId& b) const { return is_before(a, b); }
};

struct Stretch {
  const Recording* recording;
  std::uint64_t begin_ns;
  std::uint64_t end_ns;
};

// From when to when a recording has waits of each of its series.
std::vector<std::pair<const SeriesId*, Stretch>> stretches_of(const Recording& recording) {
  std::vector<Stretch> found(recording.series.size(), {&recording, UINT64_MAX, 0});
  for (const RecordedInterval& interval : recording.intervals) {
    for (const RecordedWaits& waits : interval.waits) {
      Stretch& stretch = found[waits.series];
      stretch.begin_ns = std::min(stretch.begin_ns, interval.end_unix_ns - interval.elapsed_ns);
      stretch.end_ns = interval.end_unix_ns;
    }
  }
  std::vector<std::pair<const SeriesId*, Stretch>> stretches;
  for (std::size_t i = 0; i < found.size(); i++) stretches.emplace_back(&recording.series[i], found[i]);
  return stretches;
}

// Two tools may have looked at one process at the same time: what they saw must not be added up.
Result<void> check_apart(const std::vector<Recording>& recordings) {
  std::map<SeriesId, std::vector<Stretch>, ById> seen;
  for (const Recording& recording : recordings) {
    for (const auto& [id, stretch] : stretches_of(recording)) {
      for (const Stretch& other : seen[*id]) {
        if (other.recording->header.boot != recording.header.boot) continue;
        if (stretch.begin_ns >= other.end_ns || other.begin_ns >= stretch.end_ns) continue;
        return Error{"add up", other.recording->file + " and " + recording.file,
                     "both hold waits of process " + std::to_string(id->pid) + " (" + id->comm +
                         ") at the same time, which would count twice",
                     "report on one of them, or on spans that do not overlap"};
      }
      seen[*id].push_back(stretch);
    }
  }
  return {};
}

void add(Losses& to, const Losses& more) {
  for (const LossRow& loss : all_losses) to.*loss.count += more.*loss.count;
}

// One that is there in several intervals is one.
void add(std::vector<Unverified>& to, const Unverified& more, std::uint64_t until_ns) {
  const auto same = [&](const Unverified& one) {
    return std::tie(one.pid, one.comm, one.file, one.why) == std::tie(more.pid, more.comm, more.file, more.why);
  };
  auto known = std::find_if(to.begin(), to.end(), same);
  if (known == to.end()) known = to.insert(to.end(), more);
  known->until_ns = until_ns;
}

}  // namespace

Result<Recordings> Recordings::merge(std::vector<Recording> recordings) {
  if (auto apart = check_apart(recordings); !apart) return apart.error();
  return Recordings(std::move(recordings));
}

Recordings::Recordings(std::vector<Recording> recordings) : recordings_(std::move(recordings)) {
  for (const Recording& recording : recordings_) {
    begin_ns_ = std::min(begin_ns_, recording.begin_unix_ns());
    end_ns_ = std::max(end_ns_, recording.end_unix_ns());
  }
  rewind();
}

Result<void> Recordings::group_by(const std::string& variable) {
  for (const Recording& recording : recordings_) {
    const std::string& recorded = recording.header.group_by;
    if (recorded == variable) continue;
    return Error{"group by " + variable + " in", recording.file,
                 recorded.empty() ? "it was recorded without --by-env" : "it was recorded --by-env " + recorded,
                 "record it with: waitprobe record --by-env " + variable};
  }
  group_by_ = variable;
  return {};
}

void Recordings::rewind() {
  cursors_.clear();
  groups_.clear();
  for (const Recording& recording : recordings_) cursors_.push_back({0, std::vector<Histogram>(recording.series.size())});
  so_far_ = {};
  covered_until_ns_ = begin_ns_;
}

std::size_t Recordings::earliest() const {
  std::size_t found = recordings_.size();
  std::uint64_t end_ns = UINT64_MAX;
  for (std::size_t i = 0; i < recordings_.size(); i++) {
    const auto& intervals = recordings_[i].intervals;
    if (cursors_[i].next == intervals.size() || intervals[cursors_[i].next].end_unix_ns >= end_ns) continue;
    end_ns = intervals[cursors_[i].next].end_unix_ns;
    found = i;
  }
  return found;
}

void Recordings::take(std::size_t which) {
  Cursor& cursor = cursors_[which];
  const RecordedInterval& interval = recordings_[which].intervals[cursor.next++];
  for (const RecordedWaits& waits : interval.waits) cursor.histograms[waits.series].append(waits.histogram);
  for (const ProcessGroup& one : interval.groups) groups_[one.process] = one.group;
  const std::uint64_t begin_ns = std::max(interval.end_unix_ns - interval.elapsed_ns, covered_until_ns_);
  if (interval.end_unix_ns > begin_ns) so_far_.elapsed_ns += interval.end_unix_ns - begin_ns;
  covered_until_ns_ = std::max(covered_until_ns_, interval.end_unix_ns);
  so_far_.time_unix_ns = interval.end_unix_ns;
  so_far_.left_out_cnt += interval.left_out_cnt;
  add(so_far_.losses, interval.losses);
  so_far_.clamped_cnt += interval.clamped_cnt;
  so_far_.has_pytorch |= interval.has_pytorch;
  so_far_.abandoned_cnt += interval.abandoned_cnt;
  so_far_.caveats.attached_late.insert(so_far_.caveats.attached_late.end(), interval.caveats.attached_late.begin(),
                                       interval.caveats.attached_late.end());
  for (const Unverified& process : interval.caveats.unverified) add(so_far_.caveats.unverified, process, so_far_.elapsed_ns);
}

SnapshotSource::Totals Recordings::totals_at(std::uint64_t elapsed_ns) {
  const std::uint64_t moment_ns = elapsed_ns > UINT64_MAX - begin_ns_ ? UINT64_MAX : begin_ns_ + elapsed_ns;
  std::size_t which = earliest();
  while (which != recordings_.size()) {
    const RecordedInterval& next = recordings_[which].intervals[cursors_[which].next];
    if (next.middle_unix_ns() > moment_ns) break;
    take(which);
    which = earliest();
  }
  Totals totals{so_far_, which == recordings_.size()};
  if (!totals.is_last) totals.next_ns = recordings_[which].intervals[cursors_[which].next].middle_unix_ns() - begin_ns_;
  for (std::size_t i = 0; i < recordings_.size(); i++) {
    for (std::size_t k = 0; k < cursors_[i].histograms.size(); k++) {
      Series& s = totals.snapshot.series.emplace_back();
      static_cast<SeriesId&>(s) = recordings_[i].series[k];
      s.histogram = cursors_[i].histograms[k];
    }
  }
  merge_series(totals.snapshot.series);
  if (!group_by_.empty()) {
    totals.snapshot.group_by = group_by_;
    for (Series& s : totals.snapshot.series) s.group = groups_[s.process()];
  }
  return totals;
}

}  // namespace waitprobe
