// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "bpf/abi.h"

namespace waitprobe::detail {

// What the library keeps for each thread. Small, since it stands in the static TLS block, of which the C library has little
// left for plug-ins: with these 16 bytes a process can load about a hundred plug-ins that carry the library.
struct ThreadState {
  wp_block* block;         // first of the thread's blocks; the others follow by `next`
  std::uint32_t inside;    // between NoReentry's ends: low bits of the stack address of the function that it is in; else 0
  std::uint8_t last_slot;  // the one taken last, which is likely to be free again
  bool ending;             // it has handed back its blocks
  bool asking;             // it is inside a factory, which may itself use guards
  bool says_traces;        // it has called waitprobe_set_trace_id()
};
static_assert(sizeof(ThreadState) == 16);

// initial-exec: reading it never allocates, so a signal handler may.
extern __attribute__((tls_model("initial-exec"))) constinit thread_local ThreadState this_thread;

// What `inside` becomes in a section of the function that this is inlined into.
__attribute__((always_inline)) inline std::uint32_t here_on_stack() noexcept {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(__builtin_frame_address(0))) | 1;
}

}  // namespace waitprobe::detail
