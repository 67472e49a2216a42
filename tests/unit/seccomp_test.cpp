// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cstddef>

#include "src/collect/safety/sandboxes.h"
#include "src/collect/process/seccomp_filter.h"

namespace waitprobe {
namespace {

constexpr std::uint32_t argument_1 = offsetof(seccomp_data, args) + 8;

const seccomp_data a_call = {SYS_madvise, 0xc000003e, 0x1122334455667788, {0x100, 0xfedcba9876543210, 3, 4, 5, 6}};

sock_filter step(unsigned code, std::uint32_t k) { return {static_cast<std::uint16_t>(code), 0, 0, k}; }
sock_filter branch(unsigned code, std::uint32_t k, unsigned jt, unsigned jf) {
  return {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(jt), static_cast<std::uint8_t>(jf), k};
}
sock_filter answer(std::uint32_t k) { return step(BPF_RET | BPF_K, k); }
sock_filter load(std::uint32_t k) { return step(BPF_LD | BPF_W | BPF_ABS, k); }
const sock_filter return_a = step(BPF_RET | BPF_A, 0);

// What stands in the accumulator after the steps.
std::optional<std::uint32_t> value_of(SeccompProgram steps) {
  steps.push_back(return_a);
  return run_filter(steps, a_call);
}

TEST(Seccomp, LoadsWhatTheKernelShows) {
  EXPECT_EQ(value_of({load(0)}), SYS_madvise);
  EXPECT_EQ(value_of({load(4)}), 0xc000003e);
  EXPECT_EQ(value_of({load(8)}), 0x55667788);
  EXPECT_EQ(value_of({load(12)}), 0x11223344);
  EXPECT_EQ(value_of({load(argument_1)}), 0x76543210);
  EXPECT_EQ(value_of({load(argument_1 + 4)}), 0xfedcba98);
  EXPECT_EQ(value_of({load(sizeof a_call - 4)}), 0);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 77)}), 77);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_W | BPF_LEN, 0)}), sizeof a_call);
  EXPECT_EQ(value_of({step(BPF_LDX | BPF_W | BPF_LEN, 0), step(BPF_MISC | BPF_TXA, 0)}), sizeof a_call);
}

TEST(Seccomp, TakesNoLoadThatTheKernelWouldRefuse) {
  EXPECT_EQ(value_of({load(sizeof a_call)}), std::nullopt);
  EXPECT_EQ(value_of({load(0xfffffffc)}), std::nullopt);
  EXPECT_EQ(value_of({load(2)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_H | BPF_ABS, 0)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_W | BPF_IND, 0)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_LDX | BPF_W | BPF_ABS, 0)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_MEM, BPF_MEMWORDS)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_ST, BPF_MEMWORDS)}), std::nullopt);
  EXPECT_EQ(run_filter({}, a_call), std::nullopt);
  EXPECT_EQ(run_filter({load(0)}, a_call), std::nullopt) << "it does not end";
}

TEST(Seccomp, KeepsWhatItStores) {
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 5), step(BPF_ST, 15), step(BPF_LD | BPF_IMM, 6), step(BPF_LD | BPF_MEM, 15)}), 5);
  EXPECT_EQ(value_of({step(BPF_LDX | BPF_IMM, 7), step(BPF_STX, 0), step(BPF_LD | BPF_MEM, 0)}), 7);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 8), step(BPF_ST, 1), step(BPF_LDX | BPF_MEM, 1), step(BPF_MISC | BPF_TXA, 0)}), 8);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_MEM, 3)}), 0);
}

TEST(Seccomp, Calculates) {
  const auto of = [](unsigned operation, std::uint32_t a, std::uint32_t by) {
    const auto by_k = value_of({step(BPF_LD | BPF_IMM, a), step(BPF_ALU | operation | BPF_K, by)});
    EXPECT_EQ(by_k, value_of({step(BPF_LD | BPF_IMM, a), step(BPF_LDX | BPF_IMM, by), step(BPF_ALU | operation | BPF_X, 0)}));
    return by_k;
  };
  EXPECT_EQ(of(BPF_ADD, 0xffffffff, 2), 1);
  EXPECT_EQ(of(BPF_SUB, 1, 2), 0xffffffff);
  EXPECT_EQ(of(BPF_MUL, 0x80000001, 2), 2);
  EXPECT_EQ(of(BPF_DIV, 7, 2), 3);
  EXPECT_EQ(of(BPF_AND, 0xf0f, 0x0ff), 0x00f);
  EXPECT_EQ(of(BPF_OR, 0xf00, 0x00f), 0xf0f);
  EXPECT_EQ(of(BPF_XOR, 0xf0f, 0x0ff), 0xff0);
  EXPECT_EQ(of(BPF_LSH, 3, 31), 0x80000000);
  EXPECT_EQ(of(BPF_RSH, 0x80000000, 31), 1);
  EXPECT_EQ(of(BPF_MOD, 7, 2), std::nullopt) << "the kernel does not take it in these programs";
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 5), step(BPF_ALU | BPF_NEG, 0)}), 0U - 5);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 5), step(BPF_ALU | BPF_DIV | BPF_K, 0)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 5), step(BPF_ALU | BPF_LSH | BPF_K, 32)}), std::nullopt);
  EXPECT_EQ(value_of({step(BPF_LD | BPF_IMM, 5), step(BPF_MISC | BPF_TAX, 0), step(BPF_LD | BPF_IMM, 9),
                      step(BPF_ALU | BPF_ADD | BPF_X, 0)}),
            14);
  // A division by zero ends the program, and the thread.
  EXPECT_EQ(run_filter({step(BPF_ALU | BPF_DIV | BPF_X, 0), answer(SECCOMP_RET_ALLOW)}, a_call), SECCOMP_RET_KILL_THREAD);
}

TEST(Seccomp, Jumps) {
  const auto takes = [](unsigned kind, std::uint32_t a, std::uint32_t with) {
    const SeccompProgram by_k = {step(BPF_LD | BPF_IMM, a), branch(BPF_JMP | kind | BPF_K, with, 1, 0), answer(1), answer(2)};
    const SeccompProgram by_x = {step(BPF_LD | BPF_IMM, a), step(BPF_LDX | BPF_IMM, with),
                                 branch(BPF_JMP | kind | BPF_X, 0, 1, 0), answer(1), answer(2)};
    EXPECT_EQ(run_filter(by_k, a_call), run_filter(by_x, a_call));
    return run_filter(by_k, a_call) == 2U;
  };
  EXPECT_TRUE(takes(BPF_JEQ, 5, 5));
  EXPECT_FALSE(takes(BPF_JEQ, 5, 6));
  EXPECT_TRUE(takes(BPF_JGT, 0xffffffff, 1)) << "numbers have no sign";
  EXPECT_FALSE(takes(BPF_JGT, 5, 5));
  EXPECT_TRUE(takes(BPF_JGE, 5, 5));
  EXPECT_FALSE(takes(BPF_JGE, 4, 5));
  EXPECT_TRUE(takes(BPF_JSET, 6, 3));
  EXPECT_FALSE(takes(BPF_JSET, 4, 3));
  EXPECT_EQ(run_filter({step(BPF_JMP | BPF_JA, 2), answer(1), answer(2), answer(3)}, a_call), 3U);
  EXPECT_EQ(run_filter({step(BPF_JMP | BPF_JA, 3), answer(1), answer(2), answer(3)}, a_call), std::nullopt);
  EXPECT_EQ(run_filter({step(BPF_JMP | BPF_JA, 0xffffffff), answer(1)}, a_call), std::nullopt);
  EXPECT_EQ(run_filter({branch(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), answer(1)}, a_call), std::nullopt);
  EXPECT_EQ(run_filter({branch(BPF_JMP | 0x50, 0, 0, 0), answer(1)}, a_call), std::nullopt) << "of the newer kind of programs";
}

TEST(Seccomp, TheMostSevereAnswerWins) {
  const auto together = [](std::vector<std::uint32_t> answers) {
    std::vector<SeccompProgram> filters;
    for (const std::uint32_t one : answers) filters.push_back({answer(one)});
    return run_filters(filters, a_call);
  };
  constexpr std::uint32_t by_severity[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                                           SECCOMP_RET_ERRNO | 1,    SECCOMP_RET_USER_NOTIF,  SECCOMP_RET_TRACE,
                                           SECCOMP_RET_LOG,          SECCOMP_RET_ALLOW};
  for (std::size_t i = 0; i + 1 < std::size(by_severity); i++) {
    EXPECT_EQ(together({by_severity[i], by_severity[i + 1]}), by_severity[i]);
    EXPECT_EQ(together({by_severity[i + 1], SECCOMP_RET_ALLOW, by_severity[i]}), by_severity[i]);
    EXPECT_EQ(is_deadly(by_severity[i]), i < 3) << i;
  }
  EXPECT_FALSE(is_deadly(SECCOMP_RET_ALLOW));
  EXPECT_TRUE(is_deadly(SECCOMP_RET_KILL_PROCESS | 0x1234)) << "data is no part of the action";
  EXPECT_TRUE(is_deadly(0x00010000)) << "an answer that the kernel does not know";
  EXPECT_EQ(run_filters({{answer(SECCOMP_RET_ALLOW)}, {}}, a_call), std::nullopt);
}

TEST(Seccomp, WhatIsPreparedMakesNoCalls) {
  wp_root root = {};
  EXPECT_EQ(calls_left(std::nullopt, 1).size(), 9U);
  EXPECT_EQ(calls_left(root, 1).size(), 9U);
  root.arena = 1;
  root.chunks[0] = 1;
  EXPECT_EQ(calls_left(root, 1).size(), 9U) << "an old library that was traced before";
  root.prepared = WP_PREPARED_AT_START;
  root.chunks[0] = 0;
  EXPECT_TRUE(calls_left(root, WP_FIRST_CHUNK_BLOCKS).empty()) << "its blocks are ready, though nobody has listened yet";
  const auto left = calls_left(root, WP_FIRST_CHUNK_BLOCKS + 1);
  ASSERT_EQ(left.size(), 3U) << "a block for one more";
  EXPECT_EQ(left[0].number, SYS_mmap);
  root.chunks[1] = 1;
  EXPECT_TRUE(calls_left(root, 3 * WP_FIRST_CHUNK_BLOCKS).empty());
  root.prepared = WP_PREPARED_ALL;
  EXPECT_TRUE(calls_left(root, 1000).empty()) << "what finds no block is lost";
}

}  // namespace
}  // namespace waitprobe
