// SPDX-License-Identifier: MIT
//
// How fast the cycle counter runs, measured against CLOCK_MONOTONIC.
#pragma once

#include <cstdint>
#include <optional>

namespace waitprobe {

// Both clocks at the same moment.
struct ClockPair {
  std::uint64_t cycles = 0;
  std::uint64_t ns = 0;
};

// The best of several tries. All zero where there is no counter that may be read.
ClockPair read_clocks();

// Nanoseconds of a number of ticks: ticks * mult >> shift, for numbers of up to 64 bits as bpf/batches.h computes it.
struct TickRate {
  std::uint32_t mult = 0;
  std::uint32_t shift = 0;
};

// From two pairs, the later one last. Nothing when they say nothing: less than a millisecond apart, or of no plausible counter
// (1 MHz to 100 GHz). The shift is chosen so that a tick may become twice as long and still be told with the same shift.
std::optional<TickRate> rate_between(const ClockPair& from, const ClockPair& to);

// With the shift of an earlier rate, so that only one word differs: whoever reads both while they are changed gets no mixture.
// Nothing also when a tick has become too long for that shift.
std::optional<TickRate> rate_between(const ClockPair& from, const ClockPair& to, std::uint32_t shift);

double ns_per_tick(const TickRate& rate);

// Whether two rates are within 0.1 % of each other.
bool rates_agree(const TickRate& one, const TickRate& other);

// The counter at a moment that is near that of the pair.
std::uint64_t cycles_at(std::uint64_t ns, const ClockPair& pair, const TickRate& rate);

}  // namespace waitprobe
