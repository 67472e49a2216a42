// SPDX-License-Identifier: MIT
//
// All series of a session that may go on for months: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

// So many processes that have ended keep series of their own. Those of further ones are added up by program and key.
constexpr std::size_t most_ended_processes = 10'000;
// So many series are kept of one process, and of all programs. Further ones are added up under `other_keys`.
constexpr std::size_t most_series = 10'000;

class SeriesTotals {
 public:
  struct Entry {
    Series series;             // its histogram is what has been added here for good
    std::uint32_t places = 0;  // where more of it is: with any, it stays
    std::size_t rank = 0;      // in all(), since the last call
    std::string shown_as;      // the name that it had there, by which an interval looks for it once it has been added up
  };

  // That of a series, by its identity, made if there is none; it takes the name of today, and the parent if there was none. Good
  // until add_up_ended(), and while it has places. Second: whether the series was not known, or is not told from others.
  std::pair<Entry&, bool> entry_of(Series identity);

  // In the order of merge_series(), with those that have no waits here.
  std::vector<Series> all();

  std::size_t series_cnt() const { return entries_.size(); }
  std::size_t process_cnt() const { return series_cnts_.size(); }  // ended or not
  std::uint64_t added_up_cnt() const { return added_up_cnt_; }     // processes that have ended

  // Adds up by program, group and key what processes have that have ended, but for the `most` that began last. Those with
  // places stay.
  void add_up_ended(std::size_t most, const std::function<bool(const ProcessId&)>& has_ended,
                    const std::function<std::optional<std::string>(const Series&)>& group_of);

 private:
  struct IsBefore {
    using is_transparent = void;
    static const SeriesId& id(const SeriesId& of) { return of; }
    static const SeriesId& id(const std::unique_ptr<Entry>& of) { return of->series; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return is_before(id(a), id(b));
    }
  };
  using Entries = std::set<std::unique_ptr<Entry>, IsBefore>;

  Entry& insert(Series series);
  void add_to_program(Series series);

  Entries entries_;
  std::map<ProcessId, std::size_t> series_cnts_;  // of processes
  std::size_t program_series_cnt_ = 0;
  std::uint64_t added_up_cnt_ = 0;
};

}  // namespace waitprobe
