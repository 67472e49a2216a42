// SPDX-License-Identifier: MIT
#include "src/collect/trace/series_pool.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <tuple>

#include "src/collect/process/process.h"
#include "src/collect/trace/mapped_array.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_exemplars = 100'000;  // nobody shows so many

Series to_series(const wp_series_info& info) {
  Series s;
  s.pid = info.pid;
  s.parent_pid = info.parent_pid;
  s.process_start_ticks = info.process_start_ticks;
  s.comm.assign(info.comm, strnlen(info.comm, sizeof info.comm));
  s.key.assign(info.key, std::min<std::size_t>(info.key_len, sizeof info.key));
  s.key_len = info.key_len;
  s.distinct = info.key_len > sizeof info.key ? info.distinct : 0;
  s.key_class = class_of_flags(info.flags);
  return s;
}

bool has_ended(const ProcessId& process) {
  return start_ticks_of(process.pid) != process.start_ticks || !check_exists(process.pid);
}

std::uint64_t count_of(const wp_hist& hist) {
  return std::accumulate(std::begin(hist.bucket), std::end(hist.bucket), std::uint64_t{0});
}

}  // namespace

Result<SeriesPool> SeriesPool::open(const SeriesMaps& maps) {
  SeriesPool pool;
  pool.maps_ = maps;
  auto leases = Leases::open(maps.free_slots, *maps.leases);
  if (!leases) return leases.error();
  pool.leases_ = std::move(*leases);
  pool.keep_ended(most_ended_processes);
  return pool;
}

wp_series_info SeriesPool::info_of(std::uint32_t slot) const { return element_at<wp_series_info>(maps_.infos, slot); }

// REQUIRES: waits have been counted there, so that what it says of its series is whole.
SeriesPool::Slot& SeriesPool::counted(std::uint32_t slot) {
  Slot& known = slots_[slot];
  if (known.entry != nullptr) return known;
  const wp_series_info info = info_of(slot);
  const auto [entry, is_new] = totals_.entry_of(to_series(info));
  entry.places++;
  known.series = info.series;
  known.entry = &entry;
  known.is_of_new_series = is_new;
  return known;
}

std::vector<Series> SeriesPool::series() {
  const auto& used = leases_.used();
  std::vector<Series> all = totals_.all();
  const std::size_t known_cnt = totals_.series_cnt();
  read_each<wp_hist>(maps_.hists, {used.begin(), used.end()}, [&](std::uint32_t slot, const wp_hist& hist) {
    const Histogram histogram(hist);
    if (histogram.count() == 0) return;
    const std::size_t before = totals_.series_cnt();
    SeriesTotals::Entry& entry = *counted(slot).entry;
    if (totals_.series_cnt() != before) {
      entry.rank = all.size();
      all.push_back(entry.series);
    }
    all[entry.rank].histogram.add(histogram);
    all[entry.rank].comm = entry.shown_as = entry.series.comm;
    all[entry.rank].key_class = entry.series.key_class;
  });
  if (totals_.series_cnt() != known_cnt) {
    merge_series(all);  // those that are new stand at the end
  } else {
    std::erase_if(all, [](const Series& s) { return s.histogram.count() == 0; });
  }
  return all;
}

// What is not the same twice is being written: it is left out.
void SeriesPool::read_exemplars(const std::vector<std::uint32_t>& slots, std::uint32_t round) {
  read_each<wp_exemplars>(maps_.exemplars, slots, [&](std::uint32_t slot, const wp_exemplars& first) {
    const auto is_of_round = [&](const wp_exemplar& exemplar) { return exemplar.round == round; };
    if (std::none_of(std::begin(first.of), std::end(first.of), is_of_round)) return;
    const auto second = element_at<wp_exemplars>(maps_.exemplars, slot);
    if (second.busy != 0) return;
    for (std::size_t i = 0; i < std::size(first.of) && exemplars_.size() < most_exemplars; i++) {
      if (!is_of_round(first.of[i]) || std::memcmp(&first.of[i], &second.of[i], sizeof first.of[i]) != 0) continue;
      exemplars_.push_back({counted(slot).entry->series, first.of[i]});
    }
  });
}

std::vector<SeriesPool::SeriesExemplar> SeriesPool::take_exemplars() {
  const std::uint32_t round = __atomic_fetch_add(maps_.exemplar_round, 1, __ATOMIC_SEQ_CST);
  const auto& used = leases_.used();
  read_exemplars({used.begin(), used.end()}, round);
  return std::exchange(exemplars_, {});
}

// Where nothing ever came, its program may have given up, or is still at work: after the second look, it is over.
bool SeriesPool::is_idle(std::uint32_t slot, std::uint64_t cnt, std::map<ProcessId, bool>& ended) {
  const bool is_first_look = !slots_.contains(slot) || slots_[slot].is_first_look;
  Slot& known = cnt != 0 ? counted(slot) : slots_[slot];
  known.is_first_look = false;
  if (std::exchange(known.seen_cnt, cnt) == cnt && !is_first_look) return true;
  if (known.entry == nullptr) return false;
  if (known.is_of_new_series && new_to_end_ != 0) return new_to_end_--, true;
  const ProcessId process = known.entry->series.process();
  const auto [at, is_asked] = ended.try_emplace(process, false);
  if (is_asked) at->second = has_ended(process);
  return at->second;
}

bool SeriesPool::end_leases() {
  const auto& used = leases_.used();
  std::map<ProcessId, bool> ended;
  ending_.clear();
  new_to_end_ = leases_.free_cnt() / 2;
  read_each<wp_hist>(maps_.hists, {used.begin(), used.end()}, [&](std::uint32_t slot, const wp_hist& hist) {
    if (is_idle(slot, count_of(hist), ended)) ending_.push_back(slot);
  });
  for (const std::uint32_t slot : ending_) {
    const Slot& known = slots_[slot];
    const wp_series_key series = known.entry != nullptr ? known.series : info_of(slot).series;
    if (known.entry == nullptr && !leads_to(maps_.series, series, slot)) continue;
    bpf_map_delete_elem(bpf_map__fd(maps_.series), &series);
    const auto first = introduced_.lower_bound({series.incarnation, series.counter, 0});
    introduced_.erase(first, introduced_.upper_bound({series.incarnation, series.counter, UINT32_MAX}));
  }
  leases_.wait_for_more();
  return !ending_.empty();
}

// One whose program was still at work has come to be known meanwhile: it is left alone.
void SeriesPool::renew_caches() {
  std::erase_if(ending_, [&](std::uint32_t slot) {
    return slots_[slot].entry == nullptr && leads_to(maps_.series, info_of(slot).series, slot);
  });
  __atomic_fetch_add(maps_.epoch, 1, __ATOMIC_SEQ_CST);
}

void SeriesPool::take_back() {
  std::vector<std::uint32_t> counted_slots;
  read_each<wp_hist>(maps_.hists, ending_, [&](std::uint32_t slot, const wp_hist& hist) {
    const Histogram histogram(hist);
    if (histogram.count() == 0) return;
    counted_slots.push_back(slot);
    counted(slot).entry->series.histogram.add(histogram);
  });
  clear_each<wp_hist>(maps_.hists, counted_slots);
  if (maps_.exemplars != nullptr) {
    read_exemplars(counted_slots, *maps_.exemplar_round);
    clear_each<wp_exemplars>(maps_.exemplars, counted_slots);
  }
  for (const std::uint32_t slot : ending_) {
    if (SeriesTotals::Entry* entry = slots_[slot].entry) entry->places--;
    slots_.erase(slot);
    leases_.give_back(slot);
  }
  ending_.clear();
  leases_.wait_for_more();
}

void SeriesPool::add_up_ended(const std::function<std::optional<std::string>(const Series&)>& group_of) {
  if (totals_.process_cnt() < too_many_) return;
  totals_.add_up_ended(most_ended_, has_ended, group_of);
  too_many_ = std::max(most_ended_, totals_.process_cnt()) + most_ended_ / 10;
}

}  // namespace waitprobe
