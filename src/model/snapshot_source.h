// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "src/model/snapshot.h"

namespace waitprobe {

// Where snapshots come from: programs that run, or recordings.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;

  struct Totals {
    Snapshot snapshot;
    bool is_last = false;       // nothing comes after it
    std::uint64_t next_ns = 0;  // nothing comes before this moment; 0: that is not known
  };

  // All waits from the beginning of the source up to a moment so much later (nanoseconds), or up to its end if that comes
  // first. Each moment must be later than the one before.
  virtual Totals totals_at(std::uint64_t elapsed_ns) = 0;
};

}  // namespace waitprobe
