// SPDX-License-Identifier: MIT
#include "src/runtime/clock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "src/runtime/probes.h"

namespace waitprobe::detail {

constinit clockid_t clock_of_waits = CLOCK_MONOTONIC;

namespace {

constexpr char trusted_source[] = WP_CYCLES_SOURCE "\n";
constexpr std::uint64_t second_ns = 1'000'000'000;

bool may_read_counter() noexcept {
#if defined(__x86_64__)
  int mode = 0;
  return prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_ENABLE;
#else
  return sizeof trusted_source > 2;
#endif
}

// The kernel's choice. Bare system calls: open and read of the C library are cancellation points, and a guard is not.
bool kernel_trusts_counter() noexcept {
  const auto file = static_cast<int>(
      syscall(SYS_openat, AT_FDCWD, "/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC));
  if (file < 0) return false;
  char source[32];
  const auto got = syscall(SYS_read, file, source, sizeof source);
  syscall(SYS_close, file);
  return got == static_cast<long>(sizeof trusted_source - 1) &&
         std::memcmp(source, trusted_source, sizeof trusted_source - 1) == 0;
}

// What was decided; the environment is read once, by a constructor: later another thread may be changing it.
constinit std::atomic<std::uint32_t> decision{WP_CLOCK_UNDECIDED};

std::uint32_t best_clock() noexcept {
  const char* wanted = secure_getenv("WAITPROBE_CLOCK");
  const auto wants = [wanted](const char* name) { return wanted != nullptr && std::strcmp(wanted, name) == 0; };
  if (wants("coarse")) clock_of_waits = CLOCK_MONOTONIC_COARSE;
  if (wants("coarse") || wants("monotonic")) return WP_CLOCK_MONOTONIC;
  return may_read_counter() && (wants("cycles") || kernel_trusts_counter()) ? WP_CLOCK_CYCLES : WP_CLOCK_MONOTONIC;
}

ClockPair read_both() noexcept {
  ClockPair pair;
  const std::uint64_t before = cycles();
  pair.ns = monotonic_ns();
  const std::uint64_t after = cycles();
  pair.width = after - before;
  pair.cycles = before + pair.width / 2;
  return pair;
}

// One thread at a time: the incarnation of the one that checks, so that a fork in the middle of it stops no child.
constinit std::atomic<std::uint64_t> checker{0};
constinit ClockHistory history;

bool begin_check(std::uint64_t incarnation) noexcept {
  std::uint64_t before = checker.load(std::memory_order_relaxed);
  return before != incarnation && checker.compare_exchange_strong(before, incarnation, std::memory_order_acquire);
}

}  // namespace

bool clocks_agree(const ClockPair& a, const ClockPair& b, const ClockPair& c) noexcept {
  const auto ticks_1 = static_cast<double>(b.cycles - a.cycles), ticks_2 = static_cast<double>(c.cycles - b.cycles);
  const auto ns_1 = static_cast<double>(b.ns - a.ns), ns_2 = static_cast<double>(c.ns - b.ns);
  if (ns_1 < second_ns || ns_2 < second_ns) return true;
  constexpr double steady = 1e-4;  // an interruption while a pair was read must not look like a difference
  if (static_cast<double>(a.width + b.width) > steady * ticks_1 || static_cast<double>(b.width + c.width) > steady * ticks_2) {
    return true;
  }
  const double change = ticks_2 * ns_1 / (ticks_1 * ns_2);
  return change > 0.999 && change < 1.001;
}

bool ClockHistory::is_due(std::uint64_t incarnation, std::uint64_t ns) const noexcept {
  return incarnation_.load(std::memory_order_relaxed) != incarnation || ns >= next_ns_.load(std::memory_order_relaxed);
}

bool ClockHistory::add(std::uint64_t incarnation, const ClockPair& now) noexcept {
  if (incarnation_.load(std::memory_order_relaxed) != incarnation) older_ = newer_ = {};
  const bool agree = older_.ns == 0 || newer_.ns == 0 || clocks_agree(older_, newer_, now);
  older_ = newer_;
  newer_ = now;
  next_ns_.store(now.ns + second_ns, std::memory_order_relaxed);
  incarnation_.store(incarnation, std::memory_order_relaxed);
  return agree;
}

void decide_clock() noexcept {
  if (decision.load(std::memory_order_relaxed) == WP_CLOCK_UNDECIDED) decision.store(best_clock(), std::memory_order_relaxed);
}

void choose_clock() noexcept {
  if (__atomic_load_n(&waitprobe_root.clock, __ATOMIC_RELAXED) != WP_CLOCK_UNDECIDED) return;
  decide_clock();  // a guard may come before the constructor
  const std::uint32_t choice = decision.load(std::memory_order_relaxed);
  std::uint32_t undecided = WP_CLOCK_UNDECIDED;
  __atomic_compare_exchange_n(&waitprobe_root.clock, &undecided, choice, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void check_clock(std::uint64_t incarnation) noexcept {
  if (__atomic_load_n(&waitprobe_root.clock, __ATOMIC_RELAXED) != WP_CLOCK_CYCLES) return;
  const ClockPair now = read_both();
  if (!history.is_due(incarnation, now.ns) || !begin_check(incarnation)) return;
  if (!history.add(incarnation, now)) {
    __atomic_store_n(&waitprobe_root.clock, std::uint32_t{WP_CLOCK_DISAGREED}, __ATOMIC_RELAXED);
  }
  checker.store(0, std::memory_order_release);
}

}  // namespace waitprobe::detail
