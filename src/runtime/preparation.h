// SPDX-License-Identifier: MIT
//
// What a wait needs is made ready when the program starts, while nobody looks: a thread that is armed later may be in a sandbox
// that kills it for any system call. What is prepared costs address space, and memory once it is used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bpf/abi.h"

namespace waitprobe::detail {

// Prepares arena, first blocks, memory for counters, clock and exit key. For a constructor. What fails is made when it is
// needed.
void prepare_process() noexcept;

// Gives the prepared arena and blocks to the root, if there are any.
void adopt_prepared() noexcept;

// The first of the long rings that were prepared; 0 if there are none.
std::uint64_t prepared_long_rings_address() noexcept;

// Memory for one counter, aligned for it, never freed; null when what was prepared is used up. Threads: any.
void* prepared_memory(std::size_t bytes) noexcept;

// False once waitprobe_prepare() has promised that nothing more is mapped.
bool may_map() noexcept;

}  // namespace waitprobe::detail
