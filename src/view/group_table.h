// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/view/hist_table.h"

namespace waitprobe {

// The rows of print_hist() where processes are put in groups: for each key a row a group ("-": those that have none), and how
// far apart the groups are. REQUIRES: there are groups.
void print_groups(std::ostream& out, const Snapshot& snapshot, const TableOptions& options);

}  // namespace waitprobe
