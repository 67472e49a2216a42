// SPDX-License-Identifier: MIT
#include "src/model/series_totals.h"

#include <algorithm>
#include <utility>

namespace waitprobe {
namespace {

SeriesId with_other_key(SeriesId id) {
  id.key = other_keys;
  id.key_len = id.key.size();
  id.distinct = 0;
  return id;
}

}  // namespace

SeriesTotals::Entry& SeriesTotals::insert(Series series) {
  auto entry = std::make_unique<Entry>();
  entry->series = std::move(series);
  return **entries_.insert(std::move(entry)).first;
}

std::pair<SeriesTotals::Entry&, bool> SeriesTotals::entry_of(Series identity) {
  identity.histogram = {};
  bool is_one_of_many = false;
  auto known = entries_.find(static_cast<const SeriesId&>(identity));
  if (known == entries_.end()) {
    std::size_t& cnt = series_cnts_[identity.process()];
    if (cnt < most_series) {
      cnt++;
      return {insert(std::move(identity)), true};
    }
    static_cast<SeriesId&>(identity) = with_other_key(identity);
    known = entries_.find(static_cast<const SeriesId&>(identity));
    if (known == entries_.end()) return {insert(std::move(identity)), true};
    is_one_of_many = true;
  }
  Series& series = (*known)->series;
  series.comm = identity.comm;
  series.key_class = common_class(identity.key_class, series.key_class);
  if (identity.parent_pid != 0) series.parent_pid = identity.parent_pid;
  return {**known, is_one_of_many};
}

std::vector<Series> SeriesTotals::all() {
  std::vector<Series> all;
  all.reserve(entries_.size());
  for (const auto& entry : entries_) {
    entry->rank = all.size();
    entry->shown_as = entry->series.comm;
    all.push_back(entry->series);
  }
  return all;
}

// Processes stand in the order of their starts, each with its series one after the other.
void SeriesTotals::add_up_ended(std::size_t most, const std::function<bool(const ProcessId&)>& has_ended,
                                const std::function<std::optional<std::string>(const Series&)>& group_of) {
  std::vector<Entries::iterator> ended;  // the first entries of those that can be added up
  for (auto entry = entries_.begin(); entry != entries_.end() && !(*entry)->series.is_of_program();) {
    const auto first = entry;
    const ProcessId process = (*first)->series.process();
    bool has_places = false;
    for (; entry != entries_.end() && (*entry)->series.process() == process; ++entry) has_places |= (*entry)->places != 0;
    if (!has_places && has_ended(process)) ended.push_back(first);
  }
  const std::size_t cnt = ended.size() - std::min(most, ended.size());
  for (std::size_t i = 0; i < cnt; i++) {
    const ProcessId process = (*ended[i])->series.process();
    const std::optional<std::string> group = group_of((*ended[i])->series);
    for (auto entry = ended[i]; entry != entries_.end() && (*entry)->series.process() == process;) {
      const std::unique_ptr<Entry> extracted = std::move(entries_.extract(entry++).value());
      Series series = std::move(extracted->series);
      if (!extracted->shown_as.empty()) series.comm = extracted->shown_as;
      series.group = group;
      add_to_program(std::move(series));
    }
    series_cnts_.erase(process);
    added_up_cnt_++;
  }
}

void SeriesTotals::add_to_program(Series series) {
  static_cast<SeriesId&>(series) = id_in_program(series);
  series.parent_pid = 0;
  auto known = entries_.find(static_cast<const SeriesId&>(series));
  if (known == entries_.end() && program_series_cnt_ >= most_series) {
    static_cast<SeriesId&>(series) = id_in_other_programs();
    series.group.reset();
    known = entries_.find(static_cast<const SeriesId&>(series));
  }
  if (known == entries_.end()) {
    program_series_cnt_++;
    insert(std::move(series));
    return;
  }
  (*known)->series.histogram.add(series.histogram);
  (*known)->series.key_class = common_class((*known)->series.key_class, series.key_class);
  (*known)->series.process_cnt += series.process_cnt;
}

}  // namespace waitprobe
