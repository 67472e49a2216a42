// SPDX-License-Identifier: MIT
//
// The waits of all processes added up by labels, for months: plain data.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "src/model/metrics.h"
#include "src/model/process_place.h"
#include "src/model/series_shares.h"
#include "src/model/snapshot.h"
#include "src/model/wait_exemplar.h"

namespace waitprobe {

// What a metric of waits says of them. Texts are as label_value() returns them; what is not chosen is empty or 0.
struct WaitLabels {
  std::string program;  // the name of the process
  std::string key;
  KeyClass key_class = KeyClass::wait;
  std::uint32_t pid = 0;
  std::string unit;
  std::string container;
  std::string pod;
  std::string group;

  auto operator<=>(const WaitLabels&) const = default;
};

// Which labels there are besides program, key and class.
struct LabelChoice {
  bool pid = false;
  bool unit = false;
  bool container = false;
  bool pod = false;
  bool group = false;
};

// Totals never go back, and no wait is lost from them unless a whole set is given up: what a process waited is added up under
// what it was called at that time, and stays there when it changes its name, its group or the class of a key.
//
// Memory is bounded, however many keys there have been: there are at most `max_series` sets, shared as SeriesShares says. Where a
// new set finds no room, sets are given up that no living process belongs to and that did not change last, the longest unchanged
// first; such a set starts anew when it comes back. If that is not enough, the waits are added up under the key "_other" of
// their program, and under the program "_other" if there is no room for that. These sets have no further labels, and keep the
// class. A process counts as part of the program that it is called now: one that changes its name gives up what it had before.
//
// Not for use by several threads at once.
class WaitTotals {
 public:
  static constexpr std::size_t default_max_series = 10'000;
  static constexpr std::size_t least_max_series = 10;

  struct Total {
    MetricHistogram histogram;
    std::map<std::uint32_t, Exemplar> exemplars;  // by bucket; the slowest of each power of two since forget_exemplars()
    std::uint64_t created_unix_ns = 0;            // the beginning of the interval with its first wait
    std::uint64_t changed = 0;                    // by which add()
    std::uint64_t alive = 0;                      // in which add() a living process belonged to it, if that was asked for
  };

  // REQUIRES: max_series >= least_max_series.
  explicit WaitTotals(LabelChoice labels = {}, std::size_t max_series = default_max_series);

  // Called for processes with a pid, if unit, container or pod is chosen. The answer must stay the same while a process lives,
  // and for its last waits after it has ended.
  using PlaceOf = std::function<ProcessPlace(const ProcessId&)>;
  using IsAlive = std::function<bool(const ProcessId&)>;

  // Adds the waits of `between`, which is interval(now, before) with the snapshot of the last call as `before` (or `now` itself
  // at the first call), classified as wanted. `now` and `is_alive` are used only if there is no room for a new set. Exemplars are
  // read after the snapshot: one of a wait that is not in it yet is kept for the next call.
  void add(const Snapshot& between, const Snapshot& now, const PlaceOf& place_of, const IsAlive& is_alive,
           const std::vector<WaitExemplar>& exemplars = {});

  // Somebody has them now. Further ones are of waits to come.
  void forget_exemplars();

  // In their order: by program, then key.
  const std::map<WaitLabels, Total>& totals() const { return totals_; }

  LabelChoice labels() const { return labels_; }
  std::size_t max_series() const { return max_series_; }
  // Sets that found no room since the beginning. To count each once, the last ones are remembered, several times max_series;
  // one that comes back after that counts again.
  std::uint64_t left_out_cnt() const { return left_out_cnt_; }
  // Sets that were given up to make room.
  std::uint64_t given_up_cnt() const { return given_up_cnt_; }

 private:
  using Totals = std::map<WaitLabels, Total>;
  // Sets that may be given up, the longest unchanged last.
  struct Spare {
    std::vector<Totals::iterator> sets;
    std::map<std::string, std::size_t> counts;  // by program
  };

  WaitLabels labels_of(const SeriesId& id, const std::optional<std::string>& group, const PlaceOf& place_of) const;
  Total& insert(const WaitLabels& labels);
  // What these waits are added up under, which may be made for them.
  Total& admit(const WaitLabels& labels, const std::function<Spare&()>& spare);
  // REQUIRES: there is one.
  void give_up_one(Spare& spare);
  Spare find_spare(const Snapshot& now, const PlaceOf& place_of, const IsAlive& is_alive);
  // The set of these labels, or that where it is added up; nullptr if there is neither.
  Total* find(const WaitLabels& labels);
  // False: no wait like it has been added in this turn.
  bool keep(const WaitExemplar& one, const PlaceOf& place_of);

  LabelChoice labels_;
  std::size_t max_series_;
  Totals totals_;
  SeriesShares shares_;  // without those of program "_other" and key "_other", for which there always is room
  std::unordered_set<std::uint64_t> left_out_;  // hashes
  std::uint64_t left_out_cnt_ = 0;
  std::uint64_t given_up_cnt_ = 0;
  std::vector<WaitExemplar> early_;  // whose waits may be in the next turn
  std::uint64_t turn_ = 0;           // of add()
  std::uint64_t since_unix_ns_ = 0;  // when the interval of this turn began
};

}  // namespace waitprobe
