// SPDX-License-Identifier: MIT
#include "src/model/wait_totals.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>

#include "src/model/label_value.h"

namespace waitprobe {
namespace {

constexpr std::size_t class_cnt = 3;           // each may have a set of program "_other"
constexpr std::size_t remembered_per_set = 4;  // of those that were left out

std::uint64_t hash_of(const WaitLabels& labels) {
  std::uint64_t hash = labels.pid * 4 + static_cast<std::uint64_t>(labels.key_class);
  for (const std::string* text : {&labels.program, &labels.key, &labels.unit, &labels.container, &labels.pod, &labels.group}) {
    hash = hash * 0x9e3779b97f4a7c15 + std::hash<std::string_view>()(*text);
  }
  return hash;
}

WaitLabels other_key_of(const WaitLabels& labels) {
  WaitLabels other;
  other.program = labels.program;
  other.key = other_label;
  other.key_class = labels.key_class;
  return other;
}

WaitLabels other_program_of(const WaitLabels& labels) {
  WaitLabels other = other_key_of(labels);
  other.program = other_label;
  return other;
}

bool is_other_program(const WaitLabels& labels) { return labels == other_program_of(labels); }

}  // namespace

WaitTotals::WaitTotals(LabelChoice labels, std::size_t max_series)
    : labels_(labels), max_series_(max_series), shares_(max_series - class_cnt) {}

WaitLabels WaitTotals::labels_of(const SeriesId& id, const std::optional<std::string>& group, const PlaceOf& place_of) const {
  WaitLabels labels;
  labels.program = label_value(id.comm);
  labels.key = key_label(id.key, id.key_len);
  labels.key_class = id.key_class;
  if (labels_.pid) labels.pid = id.pid;
  if (labels_.group && group) labels.group = label_value(*group);
  if (id.pid != 0 && (labels_.unit || labels_.container || labels_.pod)) {
    const ProcessPlace place = place_of(id.process());
    if (labels_.unit) labels.unit = label_value(place.unit);
    if (labels_.container) labels.container = label_value(place.container);
    if (labels_.pod) labels.pod = label_value(place.pod);
  }
  return labels;
}

WaitTotals::Total& WaitTotals::insert(const WaitLabels& labels) {
  if (!is_other_program(labels)) shares_.add(labels.program);
  Total& total = totals_[labels];
  total.created_unix_ns = since_unix_ns_;
  return total;
}

void WaitTotals::give_up_one(Spare& spare) {
  const Totals::iterator set = spare.sets.back();
  spare.sets.pop_back();
  spare.counts[set->first.program]--;
  shares_.remove(set->first.program);
  totals_.erase(set);
  given_up_cnt_++;
}

WaitTotals::Total* WaitTotals::find(const WaitLabels& labels) {
  for (const WaitLabels& place : {labels, other_key_of(labels), other_program_of(labels)}) {
    if (const auto at = totals_.find(place); at != totals_.end()) return &at->second;
  }
  return nullptr;
}

WaitTotals::Spare WaitTotals::find_spare(const Snapshot& now, const PlaceOf& place_of, const IsAlive& is_alive) {
  ProcessId process;
  bool lives = false;
  for (const Series& s : now.series) {
    if (s.pid == 0) continue;
    if (s.process() != process) {
      process = s.process();
      lives = is_alive(process);
    }
    if (!lives) continue;
    if (Total* const total = find(labels_of(s, s.group, place_of))) total->alive = turn_;
  }
  Spare spare;
  for (auto set = totals_.begin(); set != totals_.end(); ++set) {
    if (set->second.alive == turn_ || set->second.changed == turn_ || is_other_program(set->first)) continue;
    spare.sets.push_back(set);
    spare.counts[set->first.program]++;
  }
  std::stable_sort(spare.sets.begin(), spare.sets.end(),
                   [](const Totals::iterator& a, const Totals::iterator& b) { return a->second.changed > b->second.changed; });
  return spare;
}

WaitTotals::Total& WaitTotals::admit(const WaitLabels& labels, const std::function<Spare&()>& spare_sets) {
  const std::string& program = labels.program;
  if (!shares_.has_room(program)) {
    Spare& spare = spare_sets();
    const auto own = spare.counts.find(program);
    const std::size_t its_own = own == spare.counts.end() ? 0 : own->second;
    // Nothing is given up in vain.
    if (shares_.has_room_without(program, its_own, spare.sets.size() - its_own)) {
      while (!shares_.has_room(program)) give_up_one(spare);
    }
  }
  const std::uint64_t hash = hash_of(labels);
  if (shares_.has_room(program)) {
    left_out_.erase(hash);
    return insert(labels);
  }
  if (left_out_.insert(hash).second) left_out_cnt_++;
  if (left_out_.size() > remembered_per_set * max_series_) left_out_.clear();
  const WaitLabels other_key = other_key_of(labels), other_program = other_program_of(labels);
  if (const auto at = totals_.find(other_key); at != totals_.end()) return at->second;
  if (shares_.is_full() && !spare_sets().sets.empty()) give_up_one(spare_sets());
  if (!shares_.is_full()) return insert(other_key);
  const auto at = totals_.find(other_program);
  return at != totals_.end() ? at->second : insert(other_program);
}

void WaitTotals::forget_exemplars() {
  for (auto& [labels, total] : totals_) total.exemplars.clear();
}

bool WaitTotals::keep(const WaitExemplar& one, const PlaceOf& place_of) {
  Total* const total = find(labels_of(one.series, one.group, place_of));
  const std::uint32_t bucket = wp_bucket_of(one.exemplar.duration_ns), group = wp_exemplar_group(bucket);
  if (total == nullptr || total->changed != turn_ || !total->histogram.has(bucket)) return false;
  // One for each power of two, as the kernel keeps them: nobody may ask for a long time.
  const auto known = std::find_if(total->exemplars.begin(), total->exemplars.end(),
                                  [&](const auto& of_bucket) { return wp_exemplar_group(of_bucket.first) == group; });
  if (known != total->exemplars.end()) {
    if (known->second.duration_ns >= one.exemplar.duration_ns) return true;
    total->exemplars.erase(known);
  }
  total->exemplars.emplace(bucket, one.exemplar);
  return true;
}

void WaitTotals::add(const Snapshot& between, const Snapshot& now, const PlaceOf& place_of, const IsAlive& is_alive,
                     const std::vector<WaitExemplar>& exemplars) {
  turn_++;
  since_unix_ns_ = between.time_unix_ns - std::min(between.time_unix_ns, between.elapsed_ns);
  const auto add_to = [&](Total& total, const Series& s) {
    total.histogram.add(s.histogram);
    total.changed = turn_;
  };
  // Those that are known come first: what changes now is not given up for what is new.
  std::vector<std::pair<WaitLabels, const Series*>> unknown;
  for (const Series& s : between.series) {
    WaitLabels labels = labels_of(s, s.group, place_of);
    if (const auto at = totals_.find(labels); at != totals_.end()) {
      add_to(at->second, s);
    } else {
      unknown.emplace_back(std::move(labels), &s);
    }
  }
  std::optional<Spare> spare;
  const auto spare_sets = [&]() -> Spare& {
    if (!spare) spare = find_spare(now, place_of, is_alive);
    return *spare;
  };
  for (const auto& [labels, s] : unknown) {
    const auto at = totals_.find(labels);
    add_to(at != totals_.end() ? at->second : admit(labels, spare_sets), *s);
  }
  for (const WaitExemplar& one : std::exchange(early_, {})) keep(one, place_of);
  std::copy_if(exemplars.begin(), exemplars.end(), std::back_inserter(early_),
               [&](const WaitExemplar& one) { return !keep(one, place_of); });
}

}  // namespace waitprobe
