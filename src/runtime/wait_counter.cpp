// SPDX-License-Identifier: MIT
//
// Start and stop of a wait that somebody listens to.
#include <waitprobe/c.h>

#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "src/runtime/abandoned.h"
#include "src/runtime/blocks.h"
#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "src/runtime/errno_keeper.h"
#include "src/runtime/preparation.h"
#include "src/runtime/probes.h"
#include "src/runtime/rendezvous.h"

namespace waitprobe {
namespace {

using detail::Counter;
using detail::ScopeOfGuard;

// Here, and not in rendezvous.cpp: a linker takes this file from the static library whenever a guard is used, and would leave a
// file that nothing refers to. The priority is before the constructors of the application, whose waits are to be seen.
__attribute__((constructor(101))) void begin() noexcept {
  detail::prepare_process();
  detail::meet_tool();
}

// A process that wants its own open waits known, so that `stuck` finds them though nobody has listened yet. Never written as
// part of the whole word, where the kernel counts as well.
__attribute__((constructor(101))) void track_if_asked() noexcept {
  const char* wanted = secure_getenv("WAITPROBE_TRACK");
  if (wanted != nullptr && std::strcmp(wanted, "1") == 0) __atomic_store_n(&waitprobe_root.armed.self, 1, __ATOMIC_RELAXED);
}

// Parts of the armed word. Without backends the guard takes the short way; without events as well, it may read the cheaper
// clock.
// Somebody is told of waits that end unless only the process itself wants to know which are open.
constexpr std::uint64_t events_bits = 0x000000000000ffffULL, backends_bits = 0x0000ffff00000000ULL;
constexpr std::uint64_t told_bits = 0x0000ffffffffffffULL;
static_assert(offsetof(wp_armed, events) == 0 && offsetof(wp_armed, backends) == 4 &&
              std::endian::native == std::endian::little);

std::uint64_t armed_word() noexcept { return __atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED); }
bool events_armed() noexcept { return (armed_word() & events_bits) != 0; }
bool batch_armed() noexcept { return __atomic_load_n(&waitprobe_root.armed.batch, __ATOMIC_RELAXED) != 0; }

bool uses_cycles() noexcept { return __atomic_load_n(&waitprobe_root.clock, __ATOMIC_RELAXED) == WP_CLOCK_CYCLES; }

// The counter of a handle that this instance of the library has filled before.
Counter* known_counter(const waitprobe_handle& handle) noexcept {
  auto* counter = static_cast<Counter*>(__atomic_load_n(&handle.counter, __ATOMIC_ACQUIRE));
  if (counter == nullptr || counter->abi.arena != __atomic_load_n(&waitprobe_root.arena, __ATOMIC_RELAXED)) return nullptr;
  return counter;
}

// CPUs may disagree by a few ticks.
std::uint64_t duration(std::uint64_t start, std::uint64_t stop) noexcept {
  if (__builtin_expect(stop >= start, 1)) return stop - start;
  detail::count_clamped();
  return 0;
}

// A slot whose wait has begun for `counter_out`, or null.
wp_open_wait* open_slot(waitprobe_handle* handle, const ScopeOfGuard& scope, Counter*& counter_out) noexcept {
  const detail::NoReentry section;
  if (!section.entered()) return nullptr;
  counter_out = detail::counter_of(handle);
  return counter_out != nullptr ? detail::take_slot(scope, counter_out->ref) : nullptr;
}

// Any start: the first of a thread or a handle, one that backends are told of, a signal handler's.
__attribute__((noinline)) waitprobe_wait* start_slow_path(waitprobe_handle* handle, const ScopeOfGuard& scope) noexcept {
  const detail::ErrnoKeeper keeper;
  Counter* counter = nullptr;
  wp_open_wait* slot = open_slot(handle, scope, counter);
  if (slot == nullptr) return nullptr;
  slot->site = scope.site;
  slot->frame = scope.frame;

  // The slot is this wait's own from here on: backends may use guards themselves.
  const std::uint64_t now_ns = detail::monotonic_ns();
  slot->start = now_ns;
  counter->backends.start(counter->name(), now_ns, *slot);
  if (events_armed()) waitprobe_fire_start(counter->key(), now_ns, slot->wait_id);
  __atomic_store_n(&slot->counter, counter->ref, __ATOMIC_RELEASE);
  return detail::to_guard(slot);
}

__attribute__((hot, noinline)) waitprobe_wait* start_now(waitprobe_handle* handle, ScopeOfGuard scope) noexcept {
  Counter* counter = known_counter(*handle);
  wp_block* home = detail::home_block();
  const std::uint64_t armed = armed_word();
  if ((armed & backends_bits) != 0 || counter == nullptr || home == nullptr || detail::this_thread.inside != 0) {
    return start_slow_path(handle, scope);
  }
  wp_open_wait* slot;
  {
    const detail::NoReentry section;
    detail::take_back_last(*home, scope, counter->ref);
    slot = detail::free_slot(*home);
  }
  if (__builtin_expect(slot == nullptr, 0)) return start_slow_path(handle, scope);
  std::uint64_t ref = counter->ref;
  slot->backend_cnt = 0;
  slot->site = scope.site;
  slot->frame = scope.frame;
  if (__builtin_expect((armed & events_bits) != 0, 0)) {
    slot->start = detail::monotonic_ns();
    waitprobe_fire_start(counter->key(), slot->start, slot->wait_id);
  } else if (uses_cycles()) {
    ref |= WP_REF_CYCLES;
    slot->start = detail::cycles();
  } else {
    slot->start = detail::monotonic_ns();
  }
  __atomic_store_n(&slot->counter, ref, __ATOMIC_RELEASE);
  return detail::to_guard(slot);
}

__attribute__((noinline)) void keep_record_by_long_way(const wp_record& record) noexcept {
  const detail::ErrnoKeeper keeper;
  const detail::NoReentry section;
  if (section.entered()) detail::write_first_record(record);
}

void keep_record(const wp_record& record) noexcept {
  wp_block* home = detail::home_block();
  if (__builtin_expect(home == nullptr || detail::this_thread.inside != 0, 0)) return keep_record_by_long_way(record);
  const detail::NoReentry section;
  detail::write_record(*home, record);
  if (__builtin_expect(detail::is_full(*home), 0)) detail::flush(*home);
}

__attribute__((noinline)) void stop_backends(const wp_open_wait& wait, const wp_record& record) noexcept {
  const detail::ErrnoKeeper keeper;
  Counter::from_ref(wait.counter)->backends.stop(record.stop, wait);
}

__attribute__((hot, noinline)) void stop_now(waitprobe_wait* wait) noexcept {
  wp_open_wait* slot = detail::from_guard(wait);
  if (slot == nullptr) return;  // opened by the process that this one was forked from, which ends it; or taken back
  if (__builtin_expect((slot->frame & WP_FRAME_SUSPECT) != 0, 0)) detail::suspect_has_ended();

  if ((armed_word() & told_bits) == 0 && slot->backend_cnt == 0) return detail::give_back(slot);

  wp_record record;
  record.counter = slot->counter;
  if ((record.counter & WP_REF_CYCLES) != 0) {
    // Nobody but batches knew of its start, so nobody else is told of its stop.
    record.stop = detail::cycles();
    record.duration = duration(slot->start, record.stop);
  } else {
    record.stop = detail::monotonic_ns();
    record.duration = duration(slot->start, record.stop);
    if (__builtin_expect(slot->backend_cnt != 0, 0)) stop_backends(*slot, record);
    if (events_armed()) {
      waitprobe_fire_stop(Counter::from_ref(record.counter)->key(), record.stop, record.duration, slot->wait_id);
    }
  }
  detail::give_back(slot);
  if (batch_armed()) keep_record(record);
}

}  // namespace
}  // namespace waitprobe

using namespace waitprobe;

// Declared cold, so that callers keep them out of their way. Compilers inline little into such functions, so these only call.
__attribute__((noinline)) waitprobe_wait* waitprobe_start_armed(waitprobe_handle* handle) noexcept {
  return start_now(handle, {});
}
__attribute__((noinline)) waitprobe_wait* waitprobe_start_armed_scoped(waitprobe_handle* handle, int may_suspend) noexcept {
  const auto frame = static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)));
  const auto site = static_cast<std::uint16_t>(reinterpret_cast<std::uint64_t>(__builtin_return_address(0)));
  return start_now(handle, {(frame & ~WP_FRAME_FLAGS) | (may_suspend != 0 ? WP_FRAME_MAY_SUSPEND : 0), site});
}
void waitprobe_stop_open(waitprobe_wait* wait) noexcept { stop_now(wait); }
