// SPDX-License-Identifier: MIT
//
// What a thread works for, as it says by waitprobe_set_trace_id(). Its open waits keep what it had said when they began, and
// so do their records: in struct wp_traces of the block (bpf/abi.h), which a block has from the moment that an owner has said
// something. Others pay for a look at a word.
#pragma once

#include <cstdint>

#include "bpf/abi.h"
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

// Makes a block of this thread keep trace ids, in a struct wp_traces at this address. REQUIRES: NoReentry.
void begin_traces(wp_block& block, std::uint64_t traces) noexcept;

void keep_trace(const wp_block& block, const wp_open_wait& slot) noexcept;
TraceId kept_trace(const wp_block& block, const wp_open_wait& slot) noexcept;
void write_trace(const wp_block& home, TraceId trace) noexcept;

inline bool has_traces(const wp_block& block) noexcept {
  return __builtin_expect(__atomic_load_n(&block.traces, __ATOMIC_RELAXED) != 0, 0);
}

// At the start of a wait, in a slot of a block of this thread.
inline void keep_trace_of_start(const wp_block& block, const wp_open_wait& slot) noexcept {
  if (has_traces(block)) keep_trace(block, slot);
}

// What the thread had said that began this wait. To be called before the slot is given back. Threads: whoever ends the wait.
inline TraceId trace_of(const wp_block& block, const wp_open_wait& slot) noexcept {
  return has_traces(block) ? kept_trace(block, slot) : TraceId{};
}

inline bool is_said(TraceId trace) noexcept { return (trace[0] | trace[1]) != 0; }

// Address of the trace id of an open wait, for probes; 0 if its block has none.
inline std::uint64_t trace_address(const wp_block& block, const wp_open_wait& slot) noexcept {
  const std::uint64_t traces = __atomic_load_n(&block.traces, __ATOMIC_RELAXED);
  return traces != 0 ? traces + static_cast<std::uint64_t>(&slot - block.open) * sizeof(wp_trace_id) : 0;
}

}  // namespace waitprobe::detail
