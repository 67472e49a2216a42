// SPDX-License-Identifier: MIT
#include "src/runtime/long_rings.h"

#include <atomic>
#include <bit>

#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "src/runtime/preparation.h"
#include "src/runtime/probes.h"
#include "src/runtime/wiped_memory.h"

namespace waitprobe::detail {
namespace {

constexpr unsigned all_long_rings = 64;  // one for each bit of wp_arena.long_rings
constexpr std::size_t least_page = 4096;
constexpr std::uint64_t busy_window_ns = 10'000'000;
constexpr std::uint32_t busy_rings = 10;  // in such a window

// Wiped by fork, as the arena is, whose bits say which of them are taken.
constinit std::atomic<std::uint64_t> more{0};

constexpr std::uint64_t prepared_bits = (std::uint64_t{1} << prepared_long_rings) - 1;

// A bit for each ring that there is memory for.
std::uint64_t existing_rings() noexcept {
  return (prepared_long_rings_address() != 0 ? prepared_bits : 0) |
         (more.load(std::memory_order_acquire) != 0 ? ~prepared_bits : 0);
}

std::uint64_t ring_at(unsigned index) noexcept {
  return index < prepared_long_rings ? prepared_long_rings_address() + index * long_ring_bytes
                                     : more.load(std::memory_order_relaxed) + (index - prepared_long_rings) * long_ring_bytes;
}

// One that no block has; 0 if there is none.
std::uint64_t take_ring(wp_arena& arena) noexcept {
  const std::uint64_t existing = existing_rings();
  __u64 taken = __atomic_load_n(&arena.long_rings, __ATOMIC_RELAXED);
  while ((existing & ~taken) != 0) {
    const auto index = static_cast<unsigned>(std::countr_zero(existing & ~taken));
    if (__atomic_compare_exchange_n(&arena.long_rings, &taken, taken | std::uint64_t{1} << index, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
      return ring_at(index);
    }
  }
  return 0;
}

unsigned index_of(std::uint64_t ring) noexcept {
  const std::uint64_t from_first = ring - prepared_long_rings_address();
  if (from_first < prepared_long_rings * long_ring_bytes) return static_cast<unsigned>(from_first / long_ring_bytes);
  return prepared_long_rings + static_cast<unsigned>((ring - more.load(std::memory_order_relaxed)) / long_ring_bytes);
}

// As often as that, in a window that is over or full by now.
bool is_busy(wp_block& block) noexcept {
  const std::uint64_t now_ns = monotonic_ns();
  if (now_ns >= block.busy_since_ns + busy_window_ns) {
    block.busy_since_ns = now_ns;
    block.busy_cnt = 0;
  }
  return ++block.busy_cnt > busy_rings;
}

void use_ring(wp_block& block, std::uint64_t address, std::uint32_t records) noexcept {
  __atomic_store_n(&block.ring_records, records, __ATOMIC_RELAXED);
  __atomic_store_n(&block.ring, address, __ATOMIC_RELEASE);
}

}  // namespace

void use_own_ring(wp_block& block) noexcept {
  use_ring(block, reinterpret_cast<std::uint64_t>(block.own_ring), WP_RING_RECORDS);
}

void lengthen_ring_if_busy(wp_block& block) noexcept {
  const bool is_hit = __atomic_load_n(&waitprobe_root.armed.batch, __ATOMIC_RELAXED) != 0;
  if (!is_hit || block.ring_records != WP_RING_RECORDS || !is_busy(block)) return;
  const std::uint64_t ring = take_ring(*reinterpret_cast<wp_arena*>(block.arena));
  if (ring == 0) return;
  // BPF programs cannot have its pages made for them.
  for (std::uint64_t at = 0; at < WP_LONG_RING_RECORDS * sizeof(wp_record); at += least_page)
    *reinterpret_cast<volatile char*>(ring + at) = 0;
  use_ring(block, ring, WP_LONG_RING_RECORDS);
}

void give_back_long_ring(wp_block& block) noexcept {
  if (block.ring_records != WP_LONG_RING_RECORDS) return;
  const unsigned index = index_of(block.ring);
  use_own_ring(block);
  auto* const arena = reinterpret_cast<wp_arena*>(block.arena);
  __atomic_fetch_and(&arena->long_rings, ~(std::uint64_t{1} << index), __ATOMIC_RELEASE);
}

void map_more_long_rings() noexcept {
  constexpr std::size_t bytes = (all_long_rings - prepared_long_rings) * long_ring_bytes;
  if (void* const memory = map_wiped_memory(bytes, least_page))
    more.store(reinterpret_cast<std::uint64_t>(memory), std::memory_order_release);
}

}  // namespace waitprobe::detail
