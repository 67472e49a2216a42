// SPDX-License-Identifier: MIT
//
// The waits that are open in an instance of the library, as its thread blocks hold them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bpf/abi.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/machine/tick_rate.h"

namespace waitprobe {

struct OpenSlot {
  std::uint32_t owner_tid = 0;  // of its own pid namespace; 0: the thread that began it has ended
  std::uint64_t wait_id = 0;
  std::uint64_t counter = 0;  // address of struct wp_counter
  std::uint64_t start = 0;
  bool is_cycles = false;  // `start` is in ticks of the cycle counter; else nanoseconds of its own CLOCK_MONOTONIC
  bool is_first = false;   // its block has never had another one, and no record
  wp_trace_id trace = {};  // what its thread had said when it began
};

struct OpenSlots {
  std::vector<OpenSlot> slots;
  std::vector<std::uint32_t> owners;  // of all blocks that have one: a thread with several is here several times
  bool are_all = true;                // otherwise there are more than these 65,536
};

// Those that were open for as long as it took to read their block twice. Of a process that lies, whatever it likes.
OpenSlots read_open_slots(const Memory& memory, const wp_root& root, const wp_arena& arena);

// Turns the moments at which waits began into nanoseconds of our CLOCK_MONOTONIC.
class SlotClock {
 public:
  // Measures the cycle counter, which takes two milliseconds.
  static SlotClock measure();

  // `ahead_ns` is what the process's CLOCK_MONOTONIC is ahead of ours. Nothing when it is in cycles and these cannot be read
  // here, or otherwise when it is not known how far ahead.
  std::optional<std::uint64_t> start_ns(const OpenSlot& slot, std::optional<std::uint64_t> ahead_ns) const;

 private:
  ClockPair pair_;
  std::optional<TickRate> rate_;
};

}  // namespace waitprobe
