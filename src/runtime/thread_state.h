// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "bpf/abi.h"

namespace waitprobe::detail {

// 16 bytes at once, so that a signal handler which says another one never finds half of it.
using TraceId = std::uint64_t __attribute__((vector_size(16), may_alias));
static_assert(sizeof(TraceId) == sizeof(wp_trace_id));

// What the library keeps for each thread. Small, since it stands in the static TLS block, of which the C library has little
// left for plug-ins: with these 32 bytes a process can load about fifty plug-ins that carry the library.
struct ThreadState {
  wp_block* block;         // first of the thread's blocks; the others follow by `next`
  std::uint32_t inside;    // between NoReentry's ends: low bits of the stack address of the function that it is in; else 0
  std::uint8_t last_slot;  // the one taken last, which is likely to be free again
  bool ending;             // it has handed back its blocks
  bool asking;             // it is inside a factory, which may itself use guards
  TraceId trace_id;        // what it has said last
};
static_assert(sizeof(ThreadState) == 32);

// initial-exec: reading it never allocates, so a signal handler may.
extern __attribute__((tls_model("initial-exec"))) constinit thread_local ThreadState this_thread;

// What `inside` becomes in a section of the function that this is inlined into.
__attribute__((always_inline)) inline std::uint32_t here_on_stack() noexcept {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(__builtin_frame_address(0))) | 1;
}

}  // namespace waitprobe::detail
