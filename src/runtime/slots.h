// SPDX-License-Identifier: MIT
//
// The slots of blocks, which hold the open waits: where the guard of a wait stands, taking a slot, giving it back, and how a
// guard names it. blocks.h says who may do so.
#pragma once

#include <cstddef>
#include <cstdint>

#include <waitprobe/c.h>

#include "bpf/abi.h"
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

// Where a scoped guard stands, whose function's frame ends its life. All zero for a guard that may be kept anywhere. One word, as
// it stands in a slot.
class ScopeOfGuard {
 public:
  constexpr ScopeOfGuard() noexcept = default;
  constexpr ScopeOfGuard(std::uint32_t frame, std::uint16_t site) noexcept
      : word_(std::uint64_t{frame} << 32 | std::uint64_t{site} << 16) {}

  constexpr std::uint32_t frame() const noexcept { return static_cast<std::uint32_t>(word_ >> 32); }
  constexpr std::uint16_t site() const noexcept { return static_cast<std::uint16_t>(word_ >> 16); }
  constexpr std::uint64_t word() const noexcept { return word_; }

 private:
  std::uint64_t word_ = 0;
};

// The slot that was taken last, if it can be taken again: most often it can.
inline wp_open_wait* last_slot_if_free(wp_block& block) noexcept {
  wp_open_wait* slot = &block.open[this_thread.last_slot];
  const bool is_free = __atomic_load_n(&slot->wait_id, __ATOMIC_ACQUIRE) == 0 && slot->outer == 0;
  return __builtin_expect(is_free, 1) ? slot : nullptr;
}

// Marks a free slot as taken, by a wait_id that is unique in the process.
inline std::uint64_t take(wp_block& block, wp_open_wait& slot) noexcept {
  const std::uint64_t wait_id = ++block.last_wait_id;
  __atomic_store_n(&slot.wait_id, wait_id, __ATOMIC_RELAXED);
  return wait_id;
}

// Makes a slot free. Threads: any; by whoever ends the wait. The thread whose block it is takes it out of the list first.
inline void give_back(wp_open_wait* slot) noexcept {
  __atomic_store_n(&slot->counter, std::uint64_t{0}, __ATOMIC_RELAXED);
  __atomic_store_n(&slot->wait_id, std::uint64_t{0}, __ATOMIC_RELEASE);
}

// A slot as a guard holds it.
constexpr std::uint64_t tag_mask = sizeof(wp_open_wait) - 1;  // slots are aligned to their size

constexpr unsigned address_bits = 48;  // of what mmap returns
constexpr std::uint64_t address_mask = (std::uint64_t{1} << address_bits) - 1;

inline wp_block* block_of(const void* inside) noexcept {
  return reinterpret_cast<wp_block*>(reinterpret_cast<std::uint64_t>(inside) & address_mask &
                                     ~std::uint64_t{sizeof(wp_block) - 1});
}

inline waitprobe_wait* to_guard(wp_open_wait* slot) noexcept {
  return reinterpret_cast<waitprobe_wait*>(reinterpret_cast<std::uint64_t>(slot) | block_of(slot)->tag |
                                           slot->wait_id << address_bits);
}

__attribute__((returns_nonnull)) inline wp_open_wait* slot_of(waitprobe_wait* guard) noexcept {
  return reinterpret_cast<wp_open_wait*>(reinterpret_cast<std::uint64_t>(guard) & address_mask & ~tag_mask);
}

// Whether the function whose frame was at `frame` has left it, now that the stack pointer is at `now`, both as low bits of an
// address. False when they are of two stacks, as far as that is seen: a thread's storage stands above its stack, so what is on
// the other side of it is another one, such as that of a signal handler.
inline bool has_left(std::uint32_t frame, std::uint32_t now) noexcept {
  constexpr std::uint32_t largest_stack = 8U << 20;
  const std::uint32_t up = now - frame;
  const auto storage = static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(&this_thread));
  return up < largest_stack && storage - frame >= up;
}

}  // namespace waitprobe::detail
