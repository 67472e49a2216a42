// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/snapshot.h"
#include "src/view/emphasis.h"

namespace waitprobe {

struct TableOptions {
  std::string sort = "total";  // one of sort_names()
  std::size_t width = 80;      // columns of the terminal, or unlimited_width
  std::uint64_t top = 0;       // only so many rows; 0: all
  bool bars = false;           // a histogram for each key as well
  Colours colours = Colours::no;
};

// "12 waits in 2.00s, coverage 100 %: none was lost": what share of the waits was seen, rounded down. Where not every process
// is verified: "12 waits in 2.00s, coverage 100 % of waits seen; 1 process not verified".
std::string coverage_text(const Snapshot& snapshot);

// A snapshot as a table for people: a row per series, below the process that they are of (or in their groups), and what
// share of the waits was seen: of all waits, also where keep_keys() has left some out, since what was lost has no key. "~"
// marks a greatest that is only a bound. Whatever the stream's locale and flags are, they change nothing and are not changed.
void print_hist(std::ostream& out, const Snapshot& snapshot, const TableOptions& options);

}  // namespace waitprobe
