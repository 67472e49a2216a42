// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "src/model/history.h"

namespace waitprobe {

struct PageOptions {
  std::vector<std::string> headings;  // what the recordings are, a line each; any bytes
  std::string sort = "total";         // one of sort_names(): the order of keys
};

// Named after the programs and hosts that the waits are of. One page of HTML that needs nothing else: all keys in a table that
// sorts, and for each of the first 100 a heat map of its waits over time, with quantiles. In light and dark, on paper, and
// without scripts, but for sorting and hovering.
void print_page(std::ostream& out, const History& history, const PageOptions& options);

}  // namespace waitprobe
