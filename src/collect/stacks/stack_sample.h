// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bpf/slow_abi.h"

namespace waitprobe {

// As the registers say.
inline std::uint64_t stack_pointer(const wp_regs& registers) {
#if defined(__aarch64__)
  return registers.reg[31];
#else
  return registers.reg[19];
#endif
}

inline std::uint64_t instruction_pointer(const wp_regs& registers) {
#if defined(__aarch64__)
  return registers.reg[32];
#else
  return registers.reg[16];
#endif
}

// What a thread's stack is unwound from, without the thread: its registers, and a copy of the stack above its stack pointer, as
// much as there was. A BPF program, ptrace and core dumps give the same.
struct StackSample {
  wp_regs registers = {};
  std::uint64_t stack_address = 0;  // of stack[0]: the stack pointer
  std::vector<std::byte> stack;
};

}  // namespace waitprobe
