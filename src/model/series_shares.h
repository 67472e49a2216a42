// SPDX-License-Identifier: MIT
//
// How a bounded number of label sets is shared among programs, so that one that makes up keys leaves room for the others.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace waitprobe {

// The value of `key`, and of `program`, under which sets are added up that find no room.
inline constexpr const char* other_label = "_other";

// A program gets one set more only while it has fewer than half of what the others leave free. So whoever comes first has at most
// a half, the next one a quarter, and so on; those that need few get all they need. Not for use by several threads at once.
class SeriesShares {
 public:
  explicit SeriesShares(std::size_t most) : most_(most) {}

  std::size_t count() const { return count_; }
  bool is_full() const { return count_ >= most_; }

  // Whether this program gets one more.
  bool has_room(const std::string& program) const { return has_room_without(program, 0, 0); }
  // Whether it would, without so many of its sets and of those of others.
  bool has_room_without(const std::string& program, std::size_t of_its_own, std::size_t of_others) const {
    const std::size_t its_own = of(program), others = count_ - its_own - of_others;
    return others < most_ && 2 * (its_own - of_its_own) < most_ - others;
  }

  void add(const std::string& program) {
    sets_[program]++;
    count_++;
  }
  // REQUIRES: it has one.
  void remove(const std::string& program) {
    const auto at = sets_.find(program);
    if (--at->second == 0) sets_.erase(at);
    count_--;
  }

 private:
  std::size_t of(const std::string& program) const {
    const auto at = sets_.find(program);
    return at == sets_.end() ? 0 : at->second;
  }

  std::size_t most_;
  std::size_t count_ = 0;
  std::map<std::string, std::size_t> sets_;  // by program, without those that have none
};

}  // namespace waitprobe
