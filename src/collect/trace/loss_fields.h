// SPDX-License-Identifier: MIT
//
// Where the losses that BPF programs count are in Losses. A field without a row does not compile.
#pragma once

#include <cstdint>
#include <iterator>

#include "bpf/slow_abi.h"
#include "src/model/losses.h"

namespace waitprobe {

template <typename Counted>
struct LossField {
  __u64 Counted::*from;
  std::uint64_t Losses::*to;
};

inline constexpr LossField<wp_losses> hist_losses[] = {
    {&wp_losses::series_full, &Losses::series_full},
    {&wp_losses::unreadable, &Losses::unreadable},
    {&wp_losses::gap, &Losses::gap},
    {&wp_losses::blocks_full, &Losses::blocks_full},
};
static_assert(sizeof(wp_losses) == std::size(hist_losses) * sizeof(__u64), "a loss is missing above");

inline constexpr LossField<wp_slow_losses> slow_losses[] = {
    {&wp_slow_losses::ring_full, &Losses::ring_full},
    {&wp_slow_losses::unreadable, &Losses::unreadable},
};
static_assert(sizeof(wp_slow_losses) == std::size(slow_losses) * sizeof(__u64), "a loss is missing above");

template <typename Counted, std::size_t cnt>
Losses losses_of(const Counted& counted, const LossField<Counted> (&fields)[cnt]) {
  Losses losses;
  for (const auto& field : fields) losses.*field.to = counted.*field.from;
  return losses;
}

}  // namespace waitprobe
