// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "src/model/history.h"

namespace waitprobe {

// How long waits took over time: columns of time, rows of durations on a logarithmic axis, the darker the more waits. Lines
// show quantiles. `id` names the drawing in the page, so that it can be shown again, small.
void print_heat_map(std::ostream& out, const History& history, const HistoryKey& key, const std::string& id);

// The same drawing without axes, in the size of a word.
void print_small_heat_map(std::ostream& out, const History& history, const std::string& id);

}  // namespace waitprobe
