// SPDX-License-Identifier: MIT
//
// Where open waits live: in slots of a block that belongs to their thread, so that taking one needs no lock and no atomic
// read-modify-write, and a reader of the process's memory finds every open wait.
//
//  - Only the owner of a block takes its slots; any thread may give one back (a guard may stop elsewhere). So a slot is taken
//  by
//    a load and a store.
//  - A thread with more open waits than slots takes another block. A thread's blocks are given back when it ends; a block can
//  be
//    taken again once its last open wait has ended. A thread that ends without the destructors of its pthread keys (the system
//    call exit) leaves its block behind, as it leaves its stack.
//  - The owner of a block is the task that took it, in its own pid namespace. A vfork child runs on its parent's thread state,
//  so
//    a block that it takes stays with the parent's thread: readers must look whether the process has such a task.
//  - Blocks lie in memory that fork wipes. A child therefore starts without blocks, and its copies of its parent's guards must
//    not end waits of its own that happen to have the same slot: a guard carries, in the low bits of its pointer, the tag of
//    the incarnation it belongs to, and every child has another tag than its parent.
#pragma once

#include <cstdint>

#include <waitprobe/c.h>

#include "bpf/abi.h"

namespace waitprobe::detail {

// What this process is among its relatives by fork; 0 until its first block. REQUIRES: there is an arena.
std::uint64_t incarnation() noexcept;

// A free slot of this thread, marked as taken, with a wait_id that is unique in the process. Null, and counted in the root,
// when there is no memory, or when this is a signal handler that has interrupted the taking of a slot.
wp_open_wait* take_slot() noexcept;

// Threads: any; by whoever ends the wait.
void give_back(wp_open_wait* slot) noexcept;

// A slot as a guard holds it, and back: null when the wait belongs to the process that this one was forked from.
waitprobe_wait* to_guard(wp_open_wait* slot) noexcept;
wp_open_wait* from_guard(waitprobe_wait* guard) noexcept;

// Keeps the signal handlers of this thread from looking up a counter or taking a slot while it does so itself.
class NoReentry {
 public:
  NoReentry() noexcept;
  ~NoReentry();
  NoReentry(const NoReentry&) = delete;
  NoReentry& operator=(const NoReentry&) = delete;

  // False when this is a handler that has interrupted such a section; counted in the root.
  bool entered() const noexcept { return entered_; }

 private:
  bool entered_;
};

}  // namespace waitprobe::detail
