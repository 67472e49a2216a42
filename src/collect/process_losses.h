// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "src/collect/copies.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// Waits that the library itself had to give up, as the roots of its copies say. What a process counts after the last look
// before its end is not known.
//
// Threads: one at a time.
class ProcessLosses {
 public:
  // Looks at a copy. What it had lost before its first look is not ours.
  void look(const Copy& copy);

  // Looks at all copies again, and forgets those of processes that have ended (their losses stay in the sum).
  void look_again();

  void add_to(Losses& losses) const;

 private:
  struct Counts {
    std::uint64_t reentered = 0;
    std::uint64_t no_memory = 0;
  };

  std::map<std::pair<std::uint32_t, std::uint64_t>, Counts> last_;  // by pid and address of the root
  Counts sum_;

  bool update(std::uint32_t pid, std::uint64_t root_address, Counts& last, bool first);
};

}  // namespace waitprobe
