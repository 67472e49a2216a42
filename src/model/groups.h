// SPDX-License-Identifier: MIT
//
// Processes put together by something that they have in common, such as the rank that they work for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

// The waits of one key.
struct KeyInGroups {
  Series all;                  // of all processes, without number and name
  std::vector<Series> groups;  // as many as there are groups, likewise: numbers in their order, then texts, then those without
};

// In the order of their keys.
std::vector<KeyInGroups> by_key_and_group(const std::vector<Series>& series);

// How far groups are apart. Where all meet, as in a barrier, whoever waits least has come last.
struct Spread {
  const Series* least = nullptr;  // by total
  const Series* most = nullptr;
  std::uint64_t ns = 0;
};

// Nothing unless there are two groups or more; those that have no value are none. Lifetime: the key must outlive it.
std::optional<Spread> spread_of(const KeyInGroups& key);

}  // namespace waitprobe
