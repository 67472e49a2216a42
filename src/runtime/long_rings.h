// SPDX-License-Identifier: MIT
//
// Rings of 4,096 records, for threads that fill one of 256 more than a thousand times a second: each hit of wait_batch is a trap,
// and costs the least for a wait when it is shared by many. There are 64 of them, for more threads than are so busy at a time:
// 16 are mapped before the first wait, the others with the second chunk of blocks, so that no later wait makes a system call for
// one. A ring goes back when its thread ends.
#pragma once

#include <cstddef>

#include "bpf/abi.h"

namespace waitprobe::detail {

// With the trace ids of its records, which stand behind them.
constexpr std::size_t long_ring_bytes = WP_LONG_RING_RECORDS * (sizeof(wp_record) + sizeof(wp_trace_id));
constexpr unsigned prepared_long_rings = 16;

// Where blocks begin, and where they come back to. REQUIRES: nobody owns the block, or its records are flushed.
void use_own_ring(wp_block& block) noexcept;

// To be called by the owner of a block when it has flushed a full ring of its own.
void lengthen_ring_if_busy(wp_block& block) noexcept;

// REQUIRES: the block is the caller's, and its records are flushed.
void give_back_long_ring(wp_block& block) noexcept;

// Those beyond the prepared ones. To be called once; without memory, there are no others.
void map_more_long_rings() noexcept;

}  // namespace waitprobe::detail
