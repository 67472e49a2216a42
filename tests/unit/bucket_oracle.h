// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

// Durations at which a mapping to buckets could go wrong: around every power of two and every bound, at the ends, and many between.
inline std::vector<std::uint64_t> telling_durations() {
  std::vector<std::uint64_t> all = {0, ~std::uint64_t{0}};
  for (unsigned k = 0; k < 64; k++) {
    const std::uint64_t power = std::uint64_t{1} << k;
    for (const std::uint64_t ns : {power - 1, power, power + 1}) all.push_back(ns);
  }
  for (int k = -239; k <= 104; k++) {
    const auto bound = static_cast<std::uint64_t>(1e9L * std::exp2(static_cast<long double>(k) / 8));
    for (const std::uint64_t ns : {bound - 1, bound, bound + 1}) all.push_back(ns);
  }
  std::mt19937_64 random(23);
  for (int i = 0; i < 20'000; i++) all.push_back(random() >> (random() % 64));
  return all;
}
