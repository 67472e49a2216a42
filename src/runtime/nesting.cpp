// SPDX-License-Identifier: MIT
#include "src/runtime/nesting.h"

namespace waitprobe::detail {
namespace {

std::uint8_t next_of(const wp_open_wait& slot) noexcept { return slot.outer & WP_OUTER_PLACE; }

}  // namespace

void show_innermost(wp_block& block) noexcept {
  wp_inside& inside = block.inside;
  while (inside.innermost != 0) {
    wp_open_wait& slot = block.open[inside.innermost - 1];
    const std::uint64_t wait_id = __atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE);
    if (__builtin_expect(wait_id == 0, 0)) {  // the wait has ended elsewhere
      unlink(inside, inside.innermost, next_of(slot), slot);
      continue;
    }
    publish(inside.wait_id, wait_id);
    publish(inside.start, slot.start);
    publish(inside.counter, __atomic_load_n(&slot.counter, __ATOMIC_ACQUIRE));
    return;
  }
}

void leave_middle(wp_block& block, wp_open_wait& slot) noexcept {
  if (slot.outer == 0) return;
  wp_inside& inside = block.inside;
  const std::uint8_t place = place_of(block, slot);
  std::uint8_t at = inside.innermost;
  for (int left = WP_BLOCK_SLOTS; left != 0 && at != 0; left--) {
    wp_open_wait& inner = block.open[at - 1];
    at = next_of(inner);
    if (at != place) continue;
    publish(inner.outer, slot.outer);
    publish(inside.depth, static_cast<std::uint8_t>(inside.depth - 1));
    break;
  }
  publish(slot.outer,
          0);  // also where a signal handler has left the library for good before the slot was in the list, or after
  publish(inside.counter, 0);
  show_innermost(block);
}

void forget_nesting(wp_block& block) noexcept {
  wp_inside& inside = block.inside;
  publish(inside.counter, 0);
  publish(inside.innermost, 0);
  publish(inside.depth, 0);
  publish(inside.wait_id, 0);
  publish(inside.start, 0);
  publish(inside.elsewhere, 0);
  for (wp_open_wait& slot : block.open) publish(slot.outer, 0);
}

}  // namespace waitprobe::detail
