// SPDX-License-Identifier: MIT
//
// Random numbers and thread numbers without a system call.
#pragma once

#include <cstdint>

#include "bpf/abi.h"

namespace waitprobe::detail {

// Tells that this process is known: it has a secret of its own, and the C library knows the numbers of its threads. So is the
// child of fork() from then on, by a handler; that of a bare clone() is not. To be called once, before there are threads.
void know_process(const wp_arena* page) noexcept;

// 64 bits that no other process can guess, another each time. Of a secret that no relative by fork() knows either; of a system
// call where the process is not known.
std::uint64_t random_bits(const wp_arena* page) noexcept;

// The number of this thread in its pid namespace. A vfork child has that of the thread in whose memory it runs.
std::uint32_t thread_number(const wp_arena* page) noexcept;

}  // namespace waitprobe::detail
