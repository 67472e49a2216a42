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
wp_open_wait* open_slot(waitprobe_handle* handle, ScopeOfGuard scope, Counter*& counter_out) noexcept {
  const detail::NoReentry section;
  if (!section.entered()) return nullptr;
  counter_out = detail::counter_of(handle);
  return counter_out != nullptr ? detail::take_slot(scope, counter_out->ref) : nullptr;
}

// Where a backend has forked, the child has neither this wait nor perhaps this home.
void enter_if_home(wp_open_wait& slot, std::uint64_t ref) noexcept {
  const detail::NoReentry section;
  wp_block* home = detail::home_block();
  if (!section.entered() || detail::block_of(&slot) != home || slot.outer != 0) return;
  detail::enter(*home, slot, {ref, slot.wait_id, slot.start}, detail::word_of(slot));
}

// Any start: the first of a thread or a handle, one that backends are told of, a signal handler's.
__attribute__((noinline)) waitprobe_wait* start_slow_path(waitprobe_handle* handle, ScopeOfGuard scope) noexcept {
  const detail::ErrnoKeeper keeper;
  Counter* counter = nullptr;
  wp_open_wait* slot = open_slot(handle, scope, counter);
  if (slot == nullptr) return nullptr;
  detail::publish_word(*slot, scope.word());

  // The slot is this wait's own from here on: backends may use guards themselves.
  const std::uint64_t now_ns = detail::monotonic_ns();
  __atomic_store_n(&slot->start, now_ns, __ATOMIC_RELAXED);
  counter->backends.start(counter->name(), now_ns, *slot);
  if (events_armed()) waitprobe_fire_start(counter->key(), now_ns, slot->wait_id);
  __atomic_store_n(&slot->counter, counter->ref, __ATOMIC_RELEASE);
  enter_if_home(*slot, counter->ref);
  return detail::to_guard(slot);
}

// A free slot of the home whose last one is taken, or null.
__attribute__((noinline)) wp_open_wait* other_slot(wp_block& home, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  detail::take_back_last(home, scope, ref);
  return detail::find_free_slot(home);
}

// A wait that has begun in a slot of the home, or null where none is free. REQUIRES: NoReentry.
__attribute__((always_inline)) inline wp_open_wait* begin_wait(wp_block& home, ScopeOfGuard scope, std::uint64_t ref,
                                                               bool may_use_cycles) noexcept {
  wp_open_wait* slot = detail::last_slot_if_free(home);
  if (__builtin_expect(slot == nullptr, 0)) {
    slot = other_slot(home, scope, ref);
    if (slot == nullptr) return nullptr;
  }
  const std::uint64_t wait_id = detail::take(home, *slot);
  std::uint64_t start;
  if (__builtin_expect(may_use_cycles, 1) && uses_cycles()) {
    ref |= WP_REF_CYCLES;
    start = detail::cycles();
  } else {
    start = detail::monotonic_ns();
  }
  __atomic_store_n(&slot->start, start, __ATOMIC_RELAXED);
  detail::keep_trace_of_start(home, *slot);
  __atomic_store_n(&slot->counter, ref, __ATOMIC_RELEASE);
  detail::enter(home, *slot, {ref, wait_id, start}, scope.word());
  return slot;
}

__attribute__((hot, noinline)) waitprobe_wait* start_now(waitprobe_handle* handle, ScopeOfGuard scope) noexcept {
  Counter* counter = known_counter(*handle);
  wp_block* home = detail::home_block();
  const std::uint64_t armed = armed_word();
  if ((armed & backends_bits) != 0 || counter == nullptr || home == nullptr || detail::this_thread.inside != 0) {
    return start_slow_path(handle, scope);
  }
  const bool has_events = (armed & events_bits) != 0;
  wp_open_wait* slot;
  {
    const detail::NoReentry section;
    slot = begin_wait(*home, scope, counter->ref, !has_events);
  }
  if (__builtin_expect(slot == nullptr, 0)) return start_slow_path(handle, scope);
  if (__builtin_expect(has_events, 0)) waitprobe_fire_start(counter->key(), slot->start, slot->wait_id);
  return detail::to_guard(slot);
}

void give_back_elsewhere(wp_open_wait& slot) noexcept {
  // First: whoever sees that the slot is free sees why.
  __atomic_fetch_add(&detail::block_of(&slot)->inside.elsewhere, 1U, __ATOMIC_ACQ_REL);
  detail::give_back(&slot);
}

// What a record says of a wait that was in another block than the home of the thread that ends it: in one of its others, or in
// one of another thread.
std::uint64_t ended_elsewhere(const wp_block* home, const wp_open_wait& slot) noexcept {
  const std::uint32_t owner = __atomic_load_n(&detail::block_of(&slot)->owner_tid, __ATOMIC_RELAXED);
  return home != nullptr && owner == home->owner_tid ? 0 : WP_REF_ELSEWHERE;
}

// Ends a wait whose slot this thread cannot take out of the list: it is another's, or this is amid a section of the library.
__attribute__((noinline)) void end_elsewhere(wp_open_wait& slot, std::uint64_t ref, std::uint64_t duration,
                                             std::uint64_t stop) noexcept {
  const detail::ErrnoKeeper keeper;
  wp_block* home = detail::home_block();
  ref |= ended_elsewhere(home, slot);
  const detail::TraceId trace = detail::trace_of(*detail::block_of(&slot), slot);
  give_back_elsewhere(slot);
  if (!batch_armed()) return;
  const detail::NoReentry section;
  if (!section.entered()) return;
  if (home == nullptr) return detail::write_first_record({ref, duration, stop}, trace);
  if (detail::is_said(trace)) detail::keep_traces(*home);
  detail::write_record(*home, {ref, duration, stop}, trace);
  if (detail::is_full(*home)) detail::flush(*home);
}

// Whether this thread may take the slot out of the list.
bool is_at_home(const wp_block* home, const wp_open_wait& slot) noexcept {
  return __builtin_expect(detail::block_of(&slot) == home && detail::this_thread.inside == 0, 1);
}

void end_untold(wp_open_wait& slot) noexcept {
  wp_block* home = detail::home_block();
  if (!is_at_home(home, slot)) return give_back_elsewhere(slot);
  const detail::NoReentry section;
  detail::leave(*home, slot);
  detail::give_back(&slot);
}

__attribute__((always_inline)) inline void end_told(wp_open_wait& slot, std::uint64_t ref, std::uint64_t duration,
                                                    std::uint64_t stop) noexcept {
  wp_block* home = detail::home_block();
  if (!is_at_home(home, slot)) return end_elsewhere(slot, ref, duration, stop);
  const detail::NoReentry section;
  detail::leave(*home, slot);
  detail::give_back(&slot);
  if (!batch_armed()) return;
  detail::write_record(*home, {ref, duration, stop}, detail::trace_of(*home, slot));
  if (__builtin_expect(detail::is_full(*home), 0)) detail::flush(*home);
}

__attribute__((noinline)) void stop_backends(const wp_open_wait& wait, std::uint64_t now_ns) noexcept {
  const detail::ErrnoKeeper keeper;
  Counter::from_ref(wait.counter)->backends.stop(now_ns, wait);
}

__attribute__((hot, noinline)) void stop_now(waitprobe_wait* wait) noexcept {
  wp_open_wait* slot = detail::from_guard(wait);
  if (slot == nullptr) return;  // opened by the process that this one was forked from, which ends it; or taken back
  if (__builtin_expect((slot->frame & WP_FRAME_SUSPECT) != 0, 0)) detail::suspect_has_ended();

  if ((armed_word() & told_bits) == 0 && slot->backend_cnt == 0) return end_untold(*slot);

  const std::uint64_t ref = slot->counter;
  if ((ref & WP_REF_CYCLES) != 0) {
    // Nobody but batches knew of its start, so nobody else is told of its stop.
    const std::uint64_t now = detail::cycles();
    return end_told(*slot, ref, duration(slot->start, now), now);
  }
  const std::uint64_t now_ns = detail::monotonic_ns(), took_ns = duration(slot->start, now_ns);
  if (__builtin_expect(slot->backend_cnt != 0, 0)) stop_backends(*slot, now_ns);
  if (events_armed()) {
    const std::uint64_t trace = detail::trace_address(*detail::block_of(slot), *slot);
    waitprobe_fire_stop(Counter::from_ref(ref)->key(), now_ns, took_ns, slot->wait_id, trace);
  }
  end_told(*slot, ref, took_ns, now_ns);
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

void waitprobe_set_trace_id(const uint8_t* trace_id) noexcept {
  detail::TraceId fresh = {};
  if (trace_id != nullptr) std::memcpy(&fresh, trace_id, sizeof fresh);
  detail::this_thread.trace_id = fresh;
  wp_block* const home = detail::home_block();
  if (home == nullptr || detail::has_traces(*home) || !detail::is_said(fresh) || detail::this_thread.inside != 0) return;
  const detail::NoReentry section;
  detail::keep_traces(*home);
}
