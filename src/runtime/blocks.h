// SPDX-License-Identifier: MIT
//
// Thread blocks: where open waits live, and the records of those that have ended. Each belongs to one thread, so that it is
// written without a lock and without an atomic read-modify-write; and it can be read from outside the process, by the rules in
// bpf/abi.h.
//
//  - Only the owner of a block takes its slots; any thread may give one back (a guard may stop elsewhere). So a slot is taken
//  by a
//    load and a store. A thread with more open waits than slots takes another block.
//  - Records go to the first block of the thread that ends the wait, its home. A full ring is handed over with one hit of probe
//    wait_batch; so is what it holds when its thread ends.
//  - A thread's blocks are given back when it ends; a block can be taken again once its last open wait has ended. A thread that
//  ends
//    without the destructors of its pthread keys (the system call exit) leaves its block behind, as it leaves its stack.
//  - The owner of a block is the task that took it, in its own pid namespace. A vfork child runs on its parent's thread state,
//  so a
//    block that it takes stays with the parent's thread: readers must look whether the process has such a task.
//  - Blocks lie in memory that fork wipes. A child therefore starts without blocks, and its copies of its parent's guards must
//  not
//    end waits of its own that happen to have the same slot: a guard carries, in the low bits of its pointer, the tag of the
//    incarnation it belongs to, and every child has another tag than its parent.
#pragma once

#include <cstdint>

#include <waitprobe/c.h>

#include "bpf/abi.h"
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

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

// A free slot of one block, marked as taken, with a wait_id that is unique in the process; null if there is none. REQUIRES: the
// block is this thread's, and NoReentry.
inline wp_open_wait* free_slot(wp_block& block) noexcept {
  std::uint32_t index = this_thread.last_slot;
  for (std::uint32_t left = WP_BLOCK_SLOTS; left != 0; left--) {
    wp_open_wait& slot = block.open[index];
    if (__builtin_expect(__atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) == 0, 1)) {
      this_thread.last_slot = static_cast<std::uint8_t>(index);
      __atomic_store_n(&slot.wait_id, ++block.last_wait_id, __ATOMIC_RELAXED);
      return &slot;
    }
    if (++index == WP_BLOCK_SLOTS) index = 0;
  }
  return nullptr;
}

// A free slot of this thread, of a new block if need be. Null, and counted, when there is no memory. REQUIRES: NoReentry.
wp_open_wait* take_slot() noexcept;

// Threads: any; by whoever ends the wait.
inline void give_back(wp_open_wait* slot) noexcept {
  __atomic_store_n(&slot->counter, std::uint64_t{0}, __ATOMIC_RELAXED);
  __atomic_store_n(&slot->wait_id, std::uint64_t{0}, __ATOMIC_RELEASE);
}

// A slot as a guard holds it, and back: null when the wait belongs to the process that this one was forked from.
constexpr std::uint64_t tag_mask = sizeof(wp_open_wait) - 1;  // slots are aligned to their size

inline wp_block* block_of(const void* inside) noexcept {
  return reinterpret_cast<wp_block*>(reinterpret_cast<std::uint64_t>(inside) & ~std::uint64_t{sizeof(wp_block) - 1});
}

inline waitprobe_wait* to_guard(wp_open_wait* slot) noexcept {
  return reinterpret_cast<waitprobe_wait*>(reinterpret_cast<std::uint64_t>(slot) | block_of(slot)->tag);
}

__attribute__((returns_nonnull)) inline wp_open_wait* slot_of(waitprobe_wait* guard) noexcept {
  return reinterpret_cast<wp_open_wait*>(reinterpret_cast<std::uint64_t>(guard) & ~tag_mask);
}

inline wp_open_wait* from_guard(waitprobe_wait* guard) noexcept {
  const auto address = reinterpret_cast<std::uint64_t>(guard);
  if ((address & tag_mask) != block_of(guard)->tag) return nullptr;
  wp_open_wait* slot = slot_of(guard);
  return __atomic_load_n(&slot->wait_id, __ATOMIC_RELAXED) != 0 ? slot : nullptr;
}

// Writes the record of a wait that has ended. REQUIRES: NoReentry.
inline void write_record(wp_block& home, const wp_record& record) noexcept {
  const std::uint64_t number = home.written;
  wp_record& to = home.ring[number % WP_RING_RECORDS];
  // Word by word: a compiler would copy two at once from the stack, where they have just been stored apart, and stall.
  // Released, so that a reader who sees one of them sees the `handed` that made room for it.
  __atomic_store_n(&to.counter, record.counter, __ATOMIC_RELEASE);
  __atomic_store_n(&to.duration, record.duration, __ATOMIC_RELEASE);
  __atomic_store_n(&to.stop, record.stop, __ATOMIC_RELEASE);
  __atomic_store_n(&home.written, number + 1, __ATOMIC_RELEASE);
}

inline bool is_full(const wp_block& home) noexcept { return home.written - home.handed == WP_RING_RECORDS; }

// Tells whoever is attached to wait_batch of all records that were not handed over yet. REQUIRES: NoReentry; the block is this
// thread's.
void hand_over(wp_block& home) noexcept;

// As write_record, for a thread that has no home: gives it one, or, when nobody would give that back, hands the record over at
// once. Counted as `late` when there is no memory. REQUIRES: NoReentry.
void write_first_record(const wp_record& record) noexcept;

// A wait whose clock went backwards, for whoever reads the arena.
void count_clamped() noexcept;

// Keeps the signal handlers of this thread from using its blocks while it does so itself.
class NoReentry {
 public:
  NoReentry() noexcept : entered_(!this_thread.inside) {
    if (__builtin_expect(entered_, 1)) {
      this_thread.inside = true;
      __atomic_signal_fence(__ATOMIC_SEQ_CST);
    } else {
      count_reentered();
    }
  }
  ~NoReentry() {
    if (!entered_) return;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    this_thread.inside = false;
  }
  NoReentry(const NoReentry&) = delete;
  NoReentry& operator=(const NoReentry&) = delete;

  // False when this is a handler that has interrupted such a section; counted.
  bool entered() const noexcept { return entered_; }

 private:
  static void count_reentered() noexcept;

  bool entered_;
};

}  // namespace waitprobe::detail
