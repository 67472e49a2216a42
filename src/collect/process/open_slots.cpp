// SPDX-License-Identifier: MIT
#include "src/collect/process/open_slots.h"

#include <cstring>
#include <ctime>

#include "src/collect/process/block_reader.h"

namespace waitprobe {
namespace {

// What is read of a block: the part before its records.
constexpr std::size_t head_size = WP_RING_OFFSET;

constexpr std::size_t most_slots = 65'536;

constexpr unsigned sequence_bits = 44;  // of wp_block.last_wait_id
constexpr std::uint64_t sequence_mask = (std::uint64_t{1} << sequence_bits) - 1;

bool is_first_of(const wp_block& block, const wp_open_wait& slot) {
  return slot.wait_id == block.last_wait_id && (slot.wait_id & sequence_mask) == 1 && block.written == 0;
}

bool is_open(const wp_open_wait& slot) { return slot.wait_id != 0 && slot.counter != 0; }

}  // namespace

OpenSlots read_open_slots(const Memory& memory, const wp_root& root, const wp_arena& arena) {
  OpenSlots open;
  each_block(memory, root, arena, {0, head_size}, most_blocks, [&](std::uint64_t address, const unsigned char* part) {
    wp_block once, again;
    wp_trace_id traces[WP_BLOCK_SLOTS] = {};
    std::memcpy(&once, part, head_size);
    if (once.incarnation != arena.incarnation) return true;
    if (once.owner_tid != 0) open.owners.push_back(once.owner_tid);
    bool is_read_again = false;
    for (std::size_t i = 0; i < WP_BLOCK_SLOTS; i++) {
      const wp_open_wait& slot = once.open[i];
      if (!is_open(slot)) continue;
      if (!is_read_again) {
        if (once.traces != 0 && !memory.read(once.traces, traces, sizeof traces)) std::memset(traces, 0, sizeof traces);
        if (!memory.read(address, &again, head_size)) return false;
        is_read_again = true;
      }
      const wp_open_wait& then = again.open[i];
      // Otherwise it was being filled, or another wait has taken its place.
      if (then.wait_id != slot.wait_id || then.counter != slot.counter || then.start != slot.start) continue;
      if (open.slots.size() == most_slots) return open.are_all = false;
      // A thread that takes a block looks at its slots, and gives it back where one is open: it did not begin this wait.
      const std::uint32_t owner = again.owner_tid == once.owner_tid ? once.owner_tid : 0;
      open.slots.push_back({owner, slot.wait_id, slot.counter & WP_REF_ADDRESS, slot.start, (slot.counter & WP_REF_CYCLES) != 0,
                            is_first_of(again, then), traces[i]});
    }
    return true;
  });
  return open;
}

SlotClock SlotClock::measure() {
  SlotClock clock;
  const ClockPair before = read_clocks();
  const timespec distance = {0, 2'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &distance, nullptr);
  clock.pair_ = read_clocks();
  clock.rate_ = rate_between(before, clock.pair_);
  return clock;
}

std::optional<std::uint64_t> SlotClock::start_ns(const OpenSlot& slot, std::optional<std::uint64_t> ahead_ns) const {
  if (!slot.is_cycles) return ahead_ns ? std::optional<std::uint64_t>(slot.start - *ahead_ns) : std::nullopt;
  if (!rate_) return std::nullopt;
  const double before_ns = (static_cast<double>(pair_.cycles) - static_cast<double>(slot.start)) * ns_per_tick(*rate_);
  return static_cast<std::uint64_t>(static_cast<double>(pair_.ns) - before_ns);
}

}  // namespace waitprobe
