// SPDX-License-Identifier: MIT
//
// What a reader of the process sees of its blocks.
#pragma once

#include <cstdint>
#include <cstdlib>

#include <waitprobe/c.h>

#include "bpf/abi.h"
#include "src/runtime/clock.h"
#include "src/runtime/probes.h"

namespace test {

inline const wp_open_wait* slot_of(const waitprobe_wait* wait) {
  return reinterpret_cast<const wp_open_wait*>(reinterpret_cast<std::uintptr_t>(wait) & WP_REF_ADDRESS &
                                               ~std::uintptr_t{sizeof(wp_open_wait) - 1});
}

// REQUIRES: somebody has waited while armed.
inline const wp_arena& arena() { return *reinterpret_cast<const wp_arena*>(waitprobe_root.arena); }

template <typename Visit>
void each_block(Visit visit) {
  for (unsigned i = 0; i < WP_CHUNKS; i++) {
    const auto* chunk = reinterpret_cast<const wp_block*>(__atomic_load_n(&waitprobe_root.chunks[i], __ATOMIC_ACQUIRE));
    if (chunk == nullptr) continue;
    for (std::size_t k = 0; k < (std::size_t{WP_FIRST_CHUNK_BLOCKS} << i); k++) visit(chunk[k]);
  }
}

inline const wp_block* block_of(const waitprobe_wait* wait) {
  const wp_block* found = nullptr;
  each_block([&](const wp_block& block) {
    if (slot_of(wait) >= block.open && slot_of(wait) < block.open + WP_BLOCK_SLOTS) found = &block;
  });
  return found;
}

// As the kernel does when a tracer attaches to wait_batch. `clock` is what the library would have chosen.
inline void arm_batches(wp_clock clock) {
  waitprobe_root.clock = clock;
  __atomic_store_n(&waitprobe_root.armed.batch, std::uint16_t{1}, __ATOMIC_RELEASE);
}

// The block of this thread. REQUIRES: armed.
inline const wp_block& home(waitprobe_handle& handle) {
  for (unsigned i = 0; i < 2; i++) {
    waitprobe_wait* wait = waitprobe_start(&handle);
    const wp_block* block = block_of(wait);
    waitprobe_stop(wait);
    if (block != nullptr) return *block;
  }
  std::abort();
}

inline bool has_own_ring(const wp_block& block) {
  return block.ring == reinterpret_cast<std::uint64_t>(block.own_ring) && block.ring_records == WP_RING_RECORDS;
}

// Fills rings of this thread until it counts as busy, however slow this machine is: in a window that has no end.
inline const wp_block& become_busy(waitprobe_handle& handle) {
  const wp_block& block = home(handle);
  const_cast<wp_block&>(block).busy_since_ns = waitprobe::detail::monotonic_ns() + 3'600'000'000'000;
  for (std::uint64_t rings = 0; rings <= 10 && has_own_ring(block); rings++) {
    for (std::uint64_t i = 0; i < WP_RING_RECORDS; i++) waitprobe_stop(waitprobe_start(&handle));
  }
  return block;
}

inline int blocks_ever_used() {
  int n = 0;
  each_block([&](const wp_block& block) { n += __atomic_load_n(&block.incarnation, __ATOMIC_ACQUIRE) != 0; });
  return n;
}

inline int open_slots() {
  int n = 0;
  each_block([&](const wp_block& block) {
    for (const wp_open_wait& slot : block.open) n += __atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) != 0;
  });
  return n;
}

}  // namespace test
