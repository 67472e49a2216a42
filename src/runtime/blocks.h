// SPDX-License-Identifier: MIT
//
// Thread blocks hold the open waits of a thread and the records of its ended ones. A block belongs to one thread, so it is
// written without locks and without atomic read-modify-write instructions. It can be read from outside the process by the rules
// in bpf/abi.h.
//
//  - Slots: only the owner takes a slot of its block, by a load and a store. Any thread may free one, because a guard may stop
//    in another thread. A thread with more open waits than slots takes another block. That block keeps no records, so tracers
//    do not see it. A start looks at a few blocks only, however many waits are open.
//  - Abandoned waits: a guard that longjmp skips leaves its wait open. abandoned.h says when its slot is freed.
//  - Records go to the home block, the first block of the thread that ends the wait. A full ring is flushed with one hit of the
//    probe wait_batch. The thread flushes the rest when it ends. A thread that fills its ring often gets a longer one
//    (long_rings.h).
//  - End of a thread: its blocks are freed. A free block is reused after its last open wait has ended. A thread that ends
//    without running the destructors of its pthread keys (by the system call exit) leaks its block, as it leaks its stack.
//  - Owner: the task that took the block, numbered in its own pid namespace. A vfork child runs on the thread state of its
//    parent, so a block that it takes stays with the parent's thread. Readers check whether the process has such a task.
//  - fork: blocks are in memory that fork wipes, so a child starts without any. The child's copies of its parent's guards must
//    not end waits of the child that use the same slot. Therefore the low bits of a guard's pointer hold the tag of its
//    incarnation, which differs between parent and child, and the high bits hold bits of its wait_id, which show whether the
//    slot has been freed since.
#pragma once

#include <cstddef>
#include <cstdint>

#include <waitprobe/c.h>

#include "bpf/abi.h"
#include "src/runtime/nesting.h"
#include "src/runtime/slots.h"
#include "src/runtime/thread_state.h"
#include "src/runtime/trace_ids.h"

namespace waitprobe::detail {

// A chunk: its blocks, then struct wp_traces of each. In whole pages, whatever their size.
constexpr std::size_t blocks_of_chunk(unsigned index) noexcept { return std::size_t{WP_FIRST_CHUNK_BLOCKS} << index; }
constexpr std::size_t bytes_of_chunk(unsigned index) noexcept {
  constexpr std::size_t largest_page = 65536;
  const std::size_t traces = blocks_of_chunk(index) * sizeof(wp_traces);
  return blocks_of_chunk(index) * sizeof(wp_block) + (traces + largest_page - 1) / largest_page * largest_page;
}

// Makes a block of this thread keep trace ids, unless it does. REQUIRES: NoReentry.
void keep_traces(wp_block& block) noexcept;

// Names this process among its relatives by fork; 0 until its first block. REQUIRES: there is an arena.
std::uint64_t incarnation() noexcept;

// This thread's first block; null when it has none yet, in the child of a fork (what its parent had is wiped, and may by now
// belong to another thread), and once the thread is about to end.
inline wp_block* home_block() noexcept {
  wp_block* block = this_thread.block;
  return block != nullptr && __atomic_load_n(&block->owner, __ATOMIC_RELAXED) == reinterpret_cast<std::uint64_t>(&this_thread)
             ? block
             : nullptr;
}

// A free slot of one block, out of the list; null if there is none. REQUIRES: the block is this thread's, and NoReentry.
wp_open_wait* find_free_slot(wp_block& block) noexcept;

// A free slot of this thread, of a new block if need be. Null, and counted, when there is no memory. The wait that it is for
// says whose guards must be gone. REQUIRES: NoReentry.
wp_open_wait* take_slot(ScopeOfGuard scope, std::uint64_t ref) noexcept;

// Writes the record of a wait that has ended. REQUIRES: NoReentry.
inline void write_record(wp_block& home, const wp_record& record, TraceId trace) noexcept {
  if (has_traces(home)) write_trace(home, trace);
  const std::uint64_t number = home.written;
  wp_record& to = reinterpret_cast<wp_record*>(home.ring)[number & (home.ring_records - 1)];
  // Word by word: a compiler would copy two at once from the stack, where they have just been stored apart, and stall.
  // Released, so that a reader who sees one of them sees the `flushed` that made room for it.
  __atomic_store_n(&to.counter, record.counter, __ATOMIC_RELEASE);
  __atomic_store_n(&to.duration, record.duration, __ATOMIC_RELEASE);
  __atomic_store_n(&to.stop, record.stop, __ATOMIC_RELEASE);
  __atomic_store_n(&home.written, number + 1, __ATOMIC_RELEASE);
}

inline bool is_full(const wp_block& home) noexcept { return home.written - home.flushed == home.ring_records; }

// Tells whoever is attached to wait_batch of all records that were not flushed yet. REQUIRES: NoReentry; the block is this
// thread's.
void flush(wp_block& home) noexcept;

// As write_record, for a thread that has no home: gives it one, or, when nobody would give that back, hands the record over at
// once. Counted as `late` when there is no memory. REQUIRES: NoReentry.
void write_first_record(const wp_record& record, TraceId trace) noexcept;

// Make a chunk of blocks, and what tells of the end of threads, before they are needed. False when there is no room.
bool chunk_ready(unsigned index) noexcept;
bool exit_key_ready() noexcept;

// A wait whose clock went backwards, for whoever reads the arena.
void count_clamped() noexcept;

// Keeps whatever runs amid this thread's use of its blocks (signal handlers, malloc's hooks) from using them as well.
class NoReentry {
 public:
  __attribute__((always_inline)) NoReentry() noexcept : entered_(this_thread.inside == 0) {
    const std::uint32_t here = here_on_stack();
    if (__builtin_expect(!entered_, 0)) entered_ = was_left(here);
    if (__builtin_expect(!entered_, 0)) return;
    this_thread.inside = here;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
  ~NoReentry() {
    if (!entered_) return;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    this_thread.inside = 0;
  }
  NoReentry(const NoReentry&) = delete;
  NoReentry& operator=(const NoReentry&) = delete;

  // False when this runs amid such a section; counted.
  bool entered() const noexcept { return entered_; }

 private:
  // Whether a signal handler has left the section for good by siglongjmp. Counts a wait as lost either way: this one, or the
  // one that was being ended then.
  static bool was_left(std::uint32_t here) noexcept;

  bool entered_;
};

}  // namespace waitprobe::detail
