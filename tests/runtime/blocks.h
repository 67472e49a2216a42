// SPDX-License-Identifier: MIT
//
// What a reader of the process sees of its blocks.
#pragma once

#include <cstdint>

#include <waitprobe/c.h>

#include "bpf/abi.h"
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
