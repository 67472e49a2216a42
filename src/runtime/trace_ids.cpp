// SPDX-License-Identifier: MIT
#include "src/runtime/trace_ids.h"

#include "src/runtime/thread_state.h"

namespace waitprobe::detail {
namespace {

TraceId* ids_at(std::uint64_t address) noexcept { return reinterpret_cast<TraceId*>(address); }

TraceId* id_of(const wp_block& block, const wp_open_wait& slot) noexcept { return ids_at(trace_address(block, slot)); }

TraceId& id_of_record(std::uint64_t traces, const wp_block& home, std::uint64_t number) noexcept {
  return ids_at(wp_traces_of_ring(traces, home.ring, home.ring_records))[number & (home.ring_records - 1)];
}

}  // namespace

void begin_traces(wp_block& block, std::uint64_t traces) noexcept {
  // What others have left behind a long ring.
  for (std::uint64_t number = block.flushed; number != block.written; number++) id_of_record(traces, block, number) = TraceId{};
  __atomic_store_n(&block.traces, traces, __ATOMIC_RELEASE);
}

__attribute__((noinline, cold)) void keep_trace(const wp_block& block, const wp_open_wait& slot) noexcept {
  *id_of(block, slot) = this_thread.trace_id;
}

__attribute__((noinline, cold)) TraceId kept_trace(const wp_block& block, const wp_open_wait& slot) noexcept {
  return *id_of(block, slot);
}

__attribute__((noinline, cold)) void write_trace(const wp_block& home, TraceId trace) noexcept {
  id_of_record(home.traces, home, home.written) = trace;
}

}  // namespace waitprobe::detail
