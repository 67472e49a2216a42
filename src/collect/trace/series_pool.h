// SPDX-License-Identifier: MIT
//
// The histograms that BPF programs add to: they are leased to series (bpf/leases.h), and what is in them when they are given back
// goes on to count here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "bpf/tool_abi.h"
#include "src/collect/trace/leases.h"
#include "src/model/result.h"
#include "src/model/series_totals.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// What belongs to it of the BPF programs. Lifetime: theirs.
struct SeriesMaps {
  const bpf_map* series;
  const bpf_map* hists;
  const bpf_map* infos;
  const bpf_map* free_slots;
  wp_leases* leases;
  __u64* epoch;
  const bpf_map* exemplars;  // null: they are not kept
  __u32* exemplar_round;
};

// Threads: one at a time. Lifetime: the maps must outlive it.
class SeriesPool {
 public:
  SeriesPool() = default;
  // Errors: the memory of the leases cannot be mapped. REQUIRES: no program is attached yet.
  static Result<SeriesPool> open(const SeriesMaps& maps);

  // The running totals, as they are at this moment, in the order of merge_series().
  std::vector<Series> series();
  std::uint64_t added_up_cnt() const { return totals_.added_up_cnt(); }

  struct SeriesExemplar {
    SeriesId series;
    wp_exemplar exemplar;
  };
  // Those that were kept since this was called last.
  std::vector<SeriesExemplar> take_exemplars();

  // Whether it is time to give slots back: the pool would be used up before long.
  bool is_crowded() const { return leases_.is_crowded(); }

  // Gives back in three steps the slots that nothing has come to since the last time, those of processes that have ended, and those
  // of series that have come for the first time: they may never come again, and get another slot if they do. Of these no more than
  // half of what is free, since they may come again at once, when theirs are not free yet.
  // Between them, the caller waits for all running programs: end_leases(), wait, renew_caches(), wait, take_back(). Returns whether
  // there are any; otherwise the rest is not needed.
  bool end_leases();
  void renew_caches();
  void take_back();

  // Whether a series may have lost its slot since it was introduced, or never was.
  bool is_introduced(const wp_series_key& key) const { return introduced_.contains({key.incarnation, key.counter, key.shard}); }
  void is_introduced_now(const wp_series_key& key) { introduced_.insert({key.incarnation, key.counter, key.shard}); }

  // So many processes that have ended keep series of their own.
  void keep_ended(std::size_t most) {
    most_ended_ = most;
    too_many_ = most + most / 10;
  }
  // Where processes that have ended are very many, adds up those of a program. `group_of`: the group of a process.
  void add_up_ended(const std::function<std::optional<std::string>(const Series&)>& group_of);

 private:
  struct Slot {
    SeriesTotals::Entry* entry = nullptr;  // null: nothing has been counted yet
    wp_series_key series = {};             // as of `entry`
    bool is_of_new_series = false;
    bool is_first_look = true;   // for idle ones, to come
    std::uint64_t seen_cnt = 0;  // waits at the last
  };

  void read_exemplars(const std::vector<std::uint32_t>& slots, std::uint32_t round);
  wp_series_info info_of(std::uint32_t slot) const;
  Slot& counted(std::uint32_t slot);
  bool is_idle(std::uint32_t slot, std::uint64_t cnt, std::map<ProcessId, bool>& ended);

  SeriesMaps maps_ = {};
  Leases leases_;
  SeriesTotals totals_;
  std::map<std::uint32_t, Slot> slots_;                                           // that are used
  std::vector<std::uint32_t> ending_;                                             // whose leases have ended
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint32_t>> introduced_;  // incarnation, counter, shard
  std::vector<SeriesExemplar> exemplars_;  // that have not been taken, of slots that were given back
  std::uint32_t new_to_end_ = 0;           // slots of series that have come for the first time, which this time may give back
  std::size_t most_ended_ = 0;
  std::size_t too_many_ = 0;  // with so many processes, some are to be added up
};

}  // namespace waitprobe
