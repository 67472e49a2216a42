// SPDX-License-Identifier: MIT
#include "src/collect/machine/tick_rate.h"

#include <gtest/gtest.h>

#include "src/collect/machine/clock.h"

namespace waitprobe {
namespace {

// As bpf/batches.h computes it.
std::uint64_t nanoseconds(std::uint64_t ticks, const TickRate& rate) {
  return ((ticks >> 32) * rate.mult << (32 - rate.shift)) + ((ticks & 0xffffffffU) * rate.mult >> rate.shift);
}

}  // namespace

TEST(TickRate, ConvertsWithinAMillionth) {
  // From counters of 1 MHz to one of 10 GHz.
  for (const double mhz : {1.0, 24.0, 54.0, 999.0, 1000.0, 2445.4, 10'000.0}) {
    const ClockPair from{1'000'000'000'000, 5'000'000'000},
        to{from.cycles + static_cast<std::uint64_t>(mhz * 1e6), from.ns + 1'000'000'000};
    const auto rate = rate_between(from, to);
    ASSERT_TRUE(rate.has_value()) << mhz;
    for (const double seconds : {1e-3, 1.0, 3600.0, 1e6}) {
      const auto ticks = static_cast<std::uint64_t>(seconds * mhz * 1e6);
      EXPECT_NEAR(static_cast<double>(nanoseconds(ticks, *rate)), seconds * 1e9, seconds * 1e3 + 1)
          << mhz << " MHz, " << seconds << " s";
    }
    EXPECT_NEAR(static_cast<double>(cycles_at(to.ns, from, *rate)), static_cast<double>(to.cycles), mhz);
    EXPECT_NEAR(static_cast<double>(cycles_at(from.ns, to, *rate)), static_cast<double>(from.cycles), mhz);
  }
}

TEST(TickRate, RefusesWhatSaysNothing) {
  const ClockPair now{1'000'000, 1'000'000};
  EXPECT_FALSE(rate_between(now, now).has_value());
  EXPECT_FALSE(rate_between(now, {2'000'000, 1'000'500}).has_value()) << "too close";
  EXPECT_FALSE(rate_between(now, {1'000'001, 1'000'000'000'000}).has_value()) << "a counter that hardly moves";
  EXPECT_FALSE(rate_between(now, {999'999, 2'000'000'000}).has_value()) << "backwards";
}

TEST(TickRate, AgreesWithinAThousandth) {
  const auto rate = [](double mhz) { return *rate_between({0, 0}, {static_cast<std::uint64_t>(mhz * 1e6), 1'000'000'000}); };
  EXPECT_TRUE(rates_agree(rate(2000), rate(2001.9)));
  EXPECT_FALSE(rates_agree(rate(2000), rate(2002.1)));
  EXPECT_FALSE(rates_agree(rate(2000), rate(1997.9)));
}

// BPF programs read mult and shift one after the other, while the tool changes them: only one may ever change.
TEST(TickRate, KeepsTheShiftOfASession) {
  const auto pair_of = [](double mhz) { return ClockPair{static_cast<std::uint64_t>(mhz * 1e6), 1'000'000'000}; };
  for (const double mhz : {2.0, 24.0, 499.99, 500.0, 999.99, 1000.0, 1000.01, 1999.9, 2000.0, 2445.4, 10'000.0}) {
    const TickRate first = *rate_between({0, 0}, pair_of(mhz));
    for (const double change : {0.51, 0.9999, 1.0, 1.0001, 1.9}) {
      const auto later = rate_between({0, 0}, pair_of(mhz * change), first.shift);
      ASSERT_TRUE(later.has_value()) << mhz << " MHz, then " << change << " of it";
      EXPECT_EQ(later->shift, first.shift);
      EXPECT_NEAR(ns_per_tick(*later) * mhz * change, 1000, 1e-3);
    }
  }
  const TickRate first = *rate_between({0, 0}, pair_of(1000.01));
  EXPECT_FALSE(rate_between({0, 0}, pair_of(200), first.shift).has_value()) << "five times as long: no room in 32 bits";
}

// On this machine: what was measured over a tenth of a second holds for another tenth.
TEST(TickRate, IsRepeatable) {
  const ClockPair first = read_clocks();
  if (first.cycles == 0) GTEST_SKIP() << "no cycle counter that may be read";
  const auto wait = [](std::uint64_t ns) {
    for (const std::uint64_t end = now_ns() + ns; now_ns() < end;) {
    }
  };
  wait(100'000'000);
  const ClockPair second = read_clocks();
  wait(100'000'000);
  const ClockPair third = read_clocks();
  EXPECT_TRUE(rates_agree(*rate_between(first, second), *rate_between(second, third)));
}

}  // namespace waitprobe
