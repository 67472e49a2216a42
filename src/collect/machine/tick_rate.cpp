// SPDX-License-Identifier: MIT
#include "src/collect/machine/tick_rate.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cmath>

#include "bpf/cycles.h"
#include "src/collect/machine/clock.h"

namespace waitprobe {
namespace {

bool has_counter() {
#if defined(__x86_64__)
  int mode = 0;
  return prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_ENABLE;
#else
  return sizeof WP_CYCLES_SOURCE > 1;
#endif
}

// Nanoseconds of a tick.
std::optional<double> ratio_between(const ClockPair& from, const ClockPair& to) {
  if (to.ns < from.ns + 1'000'000 || to.cycles <= from.cycles) return std::nullopt;
  const double ratio = static_cast<double>(to.ns - from.ns) / static_cast<double>(to.cycles - from.cycles);
  if (ratio < 0.01 || ratio > 1000) return std::nullopt;
  return ratio;
}

std::optional<TickRate> rate_of(double ratio, std::uint32_t shift) {
  const double mult = std::ldexp(ratio, static_cast<int>(shift));
  if (mult >= std::ldexp(1.0, 32)) return std::nullopt;
  return TickRate{static_cast<std::uint32_t>(mult), shift};
}

}  // namespace

ClockPair read_clocks() {
  if (!has_counter()) return {};
  ClockPair best;
  std::uint64_t narrowest = UINT64_MAX;
  for (int i = 0; i < 20; i++) {
    const std::uint64_t before = wp_read_cycles(), ns = now_ns(), after = wp_read_cycles();
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    best = {before + narrowest / 2, ns};
  }
  return best;
}

std::optional<TickRate> rate_between(const ClockPair& from, const ClockPair& to) {
  const auto ratio = ratio_between(from, to);
  if (!ratio) return std::nullopt;
  std::uint32_t shift = 32;
  while (std::ldexp(*ratio, static_cast<int>(shift)) >= std::ldexp(1.0, 31)) shift--;
  return rate_of(*ratio, shift);
}

std::optional<TickRate> rate_between(const ClockPair& from, const ClockPair& to, std::uint32_t shift) {
  const auto ratio = ratio_between(from, to);
  return ratio ? rate_of(*ratio, shift) : std::nullopt;
}

double ns_per_tick(const TickRate& rate) { return std::ldexp(static_cast<double>(rate.mult), -static_cast<int>(rate.shift)); }

bool rates_agree(const TickRate& one, const TickRate& other) {
  const double ratio = ns_per_tick(one) / ns_per_tick(other);
  return ratio > 0.999 && ratio < 1.001;
}

std::uint64_t cycles_at(std::uint64_t ns, const ClockPair& pair, const TickRate& rate) {
  const double away = (static_cast<double>(ns) - static_cast<double>(pair.ns)) / ns_per_tick(rate);
  return pair.cycles + static_cast<std::uint64_t>(static_cast<std::int64_t>(away));
}

}  // namespace waitprobe
