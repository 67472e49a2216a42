// SPDX-License-Identifier: MIT
//
// The two clocks of a guard. Reading CLOCK_MONOTONIC takes about 25 ns, reading the cycle counter 10 ns; where the kernel
// itself trusts the counter, a wait of which only batches tell is timed by it, and whoever adds the records up turns ticks into
// nanoseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

#include "bpf/cycles.h"
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

// Nanoseconds of CLOCK_MONOTONIC: the clock of std::chrono::steady_clock and of bpf_ktime_get_ns().
// CLOCK_MONOTONIC_COARSE where the environment says so: under seccomp's strict mode processors refuse to tell any other.
extern __attribute__((visibility("hidden"))) constinit clockid_t clock_of_waits;

// Somebody may have put a clock_gettime of their own before that of the C library, with a guard inside: that guard gives up.
inline std::uint64_t monotonic_ns() noexcept {
  timespec now;
  const std::uint32_t inside = this_thread.inside;
  if (inside == 0) this_thread.inside = here_on_stack();
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  clock_gettime(clock_of_waits, &now);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  this_thread.inside = inside;
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

// Ticks of the cycle counter. REQUIRES: the clock of the root is WP_CLOCK_CYCLES.
inline std::uint64_t cycles() noexcept { return wp_read_cycles(); }

// Finds out what the guards of this process should read. For a constructor, which may ask the kernel.
void decide_clock() noexcept;

// From now on the guards of this process read what was decided. Threads: any.
void choose_clock() noexcept;

// To be called now and then by threads that use the cycle counter: when it runs differently from CLOCK_MONOTONIC, by more than
// 0.1 % between one second and the next, the clock of the root becomes WP_CLOCK_DISAGREED for good. Threads: any, of
// the process of this incarnation.
void check_clock(std::uint64_t incarnation) noexcept;

// Both clocks at the same moment, as well as that can be had.
struct ClockPair {
  std::uint64_t cycles;
  std::uint64_t ns;
  std::uint64_t width;  // ticks between the reading before ns and the one after
};

// Whether the counter ran as fast from `a` to `b` as from `b` to `c`, within 0.1 %. True when the pairs cannot tell: closer
// than a second, or read with an interruption.
bool clocks_agree(const ClockPair& a, const ClockPair& b, const ClockPair& c) noexcept;

// The last two pairs, of one incarnation: CLOCK_MONOTONIC of a forked child may be that of another time namespace, seconds or
// years away from its parent's.
class ClockHistory {
 public:
  // Whether a second has gone by since the last pair. Threads: any.
  bool is_due(std::uint64_t incarnation, std::uint64_t ns) const noexcept;
  // Whether the clocks agree, with this pair, as far as can be told. Threads: one at a time.
  bool add(std::uint64_t incarnation, const ClockPair& now) noexcept;

 private:
  std::atomic<std::uint64_t> incarnation_{0}, next_ns_{0};
  ClockPair older_ = {}, newer_ = {};
};

}  // namespace waitprobe::detail
