// SPDX-License-Identifier: MIT
//
// Waits over time, key by key: what a page with pictures shows, and what a comparison learns noise from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

struct HistoryColumn {
  std::uint64_t end_unix_ns = 0;
  std::uint64_t elapsed_ns = 0;
};

// A key of all processes.
struct HistoryKey {
  Series total;                          // of no process
  std::vector<Series> processes;         // what each of them had of it
  std::vector<SparseHistogram> columns;  // one for each of History::columns
};

struct History {
  Snapshot total;  // by key
  std::vector<HistoryColumn> columns;
  std::vector<HistoryKey> keys;  // in the order of total.series
};

// Begins with what happened in all. Then come the intervals that it consists of, one after the other.
History begin_history(Snapshot total);
void add_column(History& history, Snapshot interval);

}  // namespace waitprobe
