// SPDX-License-Identifier: MIT
//
// Start and stop of a wait that somebody listens to.
#include <waitprobe/wait_counter.h>

#include <new>

#include "src/runtime/blocks.h"
#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "src/runtime/errno_keeper.h"
#include "src/runtime/probes.h"
#include "src/runtime/rendezvous.h"

namespace waitprobe {
namespace {

using detail::Counter;

// Here, and not in rendezvous.cpp: a linker takes this file from the static library whenever a guard is used, and would leave a
// file that nothing refers to. The priority is before the constructors of the application, whose waits are to be seen.
__attribute__((constructor(101))) void meet_tool_at_start() noexcept { detail::meet_tool(); }

bool events_armed() noexcept { return __atomic_load_n(&waitprobe_root.armed.events, __ATOMIC_RELAXED) != 0; }

// A slot whose wait has begun for `counter_out`, or null.
wp_open_wait* open_slot(waitprobe_handle* handle, Counter*& counter_out) noexcept {
  const detail::NoReentry section;
  if (!section.entered()) return nullptr;
  counter_out = detail::counter_of(handle);
  return counter_out != nullptr ? detail::take_slot() : nullptr;
}

}  // namespace

WaitCounterHandle::WaitCounterHandle(std::string_view key) : handle_{nullptr, 0, nullptr} {
  Counter* counter = detail::find_counter(key);
  if (counter == nullptr) throw std::bad_alloc();
  handle_ = {counter->key(), counter->abi.key_len, counter};
}

}  // namespace waitprobe

using namespace waitprobe;

waitprobe_wait* waitprobe_start_armed(waitprobe_handle* handle) noexcept {
  const detail::ErrnoKeeper keeper;
  Counter* counter = nullptr;
  wp_open_wait* slot = open_slot(handle, counter);
  if (slot == nullptr) return nullptr;

  // The slot is this wait's own from here on: backends may use guards themselves.
  const std::uint64_t now_ns = detail::monotonic_ns();
  slot->start_ns = now_ns;
  counter->backends.start(counter->name(), now_ns, *slot);
  if (events_armed()) waitprobe_fire_start(counter->key(), now_ns, slot->wait_id);
  __atomic_store_n(&slot->counter, reinterpret_cast<std::uint64_t>(&counter->abi), __ATOMIC_RELEASE);
  return detail::to_guard(slot);
}

void waitprobe_stop_open(waitprobe_wait* wait) noexcept {
  const detail::ErrnoKeeper keeper;
  wp_open_wait* slot = detail::from_guard(wait);
  if (slot == nullptr) return;  // opened by the process that this one was forked from, which ends it

  const std::uint64_t now_ns = detail::monotonic_ns();
  const Counter* counter = Counter::from_address(slot->counter);
  counter->backends.stop(now_ns, *slot);
  if (events_armed()) {
    const std::uint64_t duration_ns = now_ns > slot->start_ns ? now_ns - slot->start_ns : 0;
    waitprobe_fire_stop(counter->key(), now_ns, duration_ns, slot->wait_id);
  }
  detail::give_back(slot);
}
