// SPDX-License-Identifier: MIT
//
// The open waits of a thread as a list, the latest one first. `inside` in the header of its block shows the first one, the
// innermost, to anyone who interrupts the thread. bpf/abi.h has the rules for readers.
//
//  - Only waits in the slots of the home block are in the list.
//  - Only the owner of the block changes the list, within NoReentry. So a signal handler never finds it half changed. If a handler
//    leaves such a section by siglongjmp, the list is still valid: after each store, it ends, and all its slots are linked.
//  - A wait that ends elsewhere (on another thread, or in a signal handler that interrupts such a section) leaves a free slot in
//    the list. The owner removes the slot when it ends an inner wait, and before it takes the slot again.
//  - The order is that of the starts. With fibres, the innermost wait may belong to another fibre than the running one. A wait
//    that was abandoned by longjmp stays in the list until its slot is taken back (abandoned.h).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "bpf/abi.h"

namespace waitprobe::detail {

// Of a slot in its block, as the list names it; 0 is none.
inline std::uint8_t place_of(const wp_block& block, const wp_open_wait& slot) noexcept {
  return static_cast<std::uint8_t>(&slot - block.open + 1);
}

// Whoever sees one of these stores sees all before it.
template <typename Member>
void publish(Member& member, std::type_identity_t<Member> value) noexcept {
  __atomic_store_n(&member, value, __ATOMIC_RELEASE);
}

// backend_cnt, outer, site and frame of a slot are read and written as one word.
static_assert(offsetof(wp_open_wait, backend_cnt) == 24 && offsetof(wp_open_wait, outer) == 25 &&
              offsetof(wp_open_wait, site) == 26 && offsetof(wp_open_wait, frame) == 28 &&
              std::endian::native == std::endian::little);
using SlotWord __attribute__((may_alias)) = std::uint64_t;
inline std::uint64_t word_of(const wp_open_wait& slot) noexcept {
  return *reinterpret_cast<const SlotWord*>(&slot.backend_cnt);
}
inline void publish_word(wp_open_wait& slot, std::uint64_t word) noexcept {
  __atomic_store_n(reinterpret_cast<SlotWord*>(&slot.backend_cnt), word, __ATOMIC_RELEASE);
}

struct ShownWait {
  std::uint64_t counter, wait_id, start;
};

// Puts a wait on top of the list. `word` is what the slot's is to be but for `outer`. REQUIRES: NoReentry; the slot is of this
// thread's home, is filled, and is not linked.
inline void enter(wp_block& home, wp_open_wait& slot, const ShownWait& wait, std::uint64_t word) noexcept {
  wp_inside& inside = home.inside;
  publish(inside.counter, 0);
  publish_word(slot, word | std::uint64_t{inside.innermost | WP_OUTER_LINKED} << 8);
  publish(inside.innermost, place_of(home, slot));
  publish(inside.depth, static_cast<std::uint8_t>(inside.depth + 1));
  publish(inside.wait_id, wait.wait_id);
  publish(inside.start, wait.start);
  publish(inside.counter, wait.counter);
}

// `link` led to the slot, and leads to `next` from now on. A slot that is not linked may be put on top at any time, so that comes
// last.
inline void unlink(wp_inside& inside, std::uint8_t& link, std::uint8_t next, wp_open_wait& slot) noexcept {
  publish(link, next);
  publish(inside.depth, inside.innermost != 0 ? static_cast<std::uint8_t>(inside.depth - 1) : std::uint8_t{0});
  publish(slot.outer, 0);
}

// Shows the innermost wait, once slots that are free have been taken out. REQUIRES: `counter` is 0, and as leave().
void show_innermost(wp_block& block) noexcept;

// As leave(), wherever the slot is in the list, if at all.
void leave_middle(wp_block& block, wp_open_wait& slot) noexcept;

// Takes a slot out of the list. REQUIRES: NoReentry; the block is this thread's.
inline void leave(wp_block& block, wp_open_wait& slot) noexcept {
  wp_inside& inside = block.inside;
  if (__builtin_expect(inside.innermost != place_of(block, slot), 0)) return leave_middle(block, slot);
  const auto next = static_cast<std::uint8_t>(slot.outer & WP_OUTER_PLACE);
  publish(inside.counter, 0);
  unlink(inside, inside.innermost, next, slot);
  if (next != 0) show_innermost(block);
}

// Makes the list of a block empty, whose owner comes or goes.
void forget_nesting(wp_block& block) noexcept;

}  // namespace waitprobe::detail
