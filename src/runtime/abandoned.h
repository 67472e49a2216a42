// SPDX-License-Identifier: MIT
//
// Waits whose guards are gone: a longjmp has left their functions (PostgreSQL, Lua and libpng do that), so nobody will ever end
// them. Their slots are taken back, and they are counted as abandoned.
//
// Only guards of the scoped macros are judged. They are automatic variables, so a guard ends with its function's frame; any
// other may be kept anywhere and be ended by anybody. Two signs say that a frame has gone:
//
//  - The same code (site, key) starts a wait at the same stack address. That proves it: a frame has room for one guard a site.
//  - The thread starts a wait further up the same stack. That is a reason for suspicion only: with fibres, it may be another
//    stack.
//
// In a coroutine, where guards outlive the frame on the stack, both are suspicions. A wait under suspicion stays as it is, and
// counts when it ends. If a single one does, the suspicion was wrong, and no other wait of this instance of the library is ever
// taken back for it. When there are too many (most_suspects) and none has ended, they are taken for gone.
//
// Threads: slots are judged by the thread that owns their block; nobody else takes them.
#pragma once

#include <cstdint>

#include "bpf/abi.h"
#include "src/runtime/slots.h"
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

// Of an instance of the library: with their blocks, 4 MiB. A wait whose thread has ended stands for all slots of its block, one
// that can only be alive on another stack for eight: coroutines come by the thousand, and such stacks by the hundred.
constexpr std::uint64_t most_suspects = 16384, weight_of_fibre = 8;

// Of a thread's other blocks, so many are looked at by one start.
constexpr int most_others = 4;

// Judges the wait whose slot was taken last, and others if it has to. REQUIRES: the block is this thread's home, and NoReentry.
void judge_last(wp_block& home, ScopeOfGuard scope, std::uint64_t ref) noexcept;

// Takes back the slot that was taken last, if its guard is gone: so code that leaves its guards by longjmp again and again uses
// one slot. REQUIRES: as judge_last.
inline void take_back_last(wp_block& home, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  const wp_open_wait& slot = home.open[this_thread.last_slot];
  if (__builtin_expect(__atomic_load_n(&slot.wait_id, __ATOMIC_RELAXED) == 0, 1)) return;
  if (scope.frame() != 0) judge_last(home, scope, ref);
}

// Judges the waits of the home and of a few other blocks, now that a wait begins at `scope`. Returns the address of the block
// to go on with. REQUIRES: as judge_last.
std::uint64_t judge_some(wp_block& home, ScopeOfGuard scope, std::uint64_t ref) noexcept;

// Judges the waits of a block whose thread ends, and its stack with it.
void judge_at_thread_exit(wp_block& block) noexcept;

// Whether suspects count as gone.
bool suspects_are_gone() noexcept;

// Takes back the suspects of a block if they count as gone. REQUIRES: the block is this thread's.
void take_back_suspects(wp_block& block) noexcept;

// A wait under suspicion has ended: its guard was not gone.
void suspect_has_ended() noexcept;

// A guard whose slot has been taken back has stopped after all; counted. Never of a guard that is stopped twice.
void count_stale() noexcept;

// The slot that a guard holds. Null when the wait belongs to the process that this one was forked from, or has been taken back.
inline wp_open_wait* from_guard(waitprobe_wait* guard) noexcept {
  const auto address = reinterpret_cast<std::uint64_t>(guard);
  if ((address & tag_mask) != block_of(guard)->tag) return nullptr;
  wp_open_wait* slot = slot_of(guard);
  const std::uint64_t wait_id = __atomic_load_n(&slot->wait_id, __ATOMIC_RELAXED);
  if (__builtin_expect(wait_id != 0 && (wait_id ^ address >> address_bits) << address_bits == 0, 1)) return slot;
  count_stale();
  return nullptr;
}

}  // namespace waitprobe::detail
