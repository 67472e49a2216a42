// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <string>

#include "src/model/snapshot.h"

namespace waitprobe {

struct TableOptions {
  std::string sort = "total";  // one of sort_names()
  std::size_t width = 80;      // columns of the terminal
  bool bars = false;           // a histogram for each key as well
};

// A snapshot as a table for people: a row a series, the processes apart if there are several, and what share of the waits is in
// it.
void print_hist(std::ostream& out, const Snapshot& snapshot, const TableOptions& options);

}  // namespace waitprobe
