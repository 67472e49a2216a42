// SPDX-License-Identifier: MIT
//
// What a reader of a block sees of wp_inside and of the list of open waits, by the rules of bpf/abi.h.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "bpf/abi.h"

namespace test {

template <typename Member>
Member look(const Member& member) {
  return __atomic_load_n(&member, __ATOMIC_ACQUIRE);
}

inline wp_inside read_inside(const wp_block& block) {
  wp_inside seen = {};
  seen.counter = look(block.inside.counter);
  seen.wait_id = look(block.inside.wait_id);
  seen.start = look(block.inside.start);
  seen.elsewhere = look(block.inside.elsewhere);
  seen.innermost = look(block.inside.innermost);
  seen.depth = look(block.inside.depth);
  return seen;
}

// The waits of the list, the innermost one first. Of a slot that is free by now: 0.
inline std::vector<std::uint64_t> listed_waits(const wp_block& block) {
  std::vector<std::uint64_t> waits;
  for (std::uint8_t at = look(block.inside.innermost); at != 0 && waits.size() <= WP_BLOCK_SLOTS;) {
    const wp_open_wait& slot = block.open[at - 1];
    waits.push_back(look(slot.counter) != 0 ? look(slot.wait_id) : 0);
    at = look(slot.outer) & WP_OUTER_PLACE;
  }
  return waits;
}

// The number of the wait that the block's thread is inside of, or 0. REQUIRES: the thread stands still.
inline std::uint64_t innermost_wait(const wp_block& block) {
  const wp_inside seen = read_inside(block);
  if (seen.counter != 0 && seen.elsewhere == 0) return seen.wait_id;
  for (const std::uint64_t wait_id : listed_waits(block)) {
    if (wait_id != 0) return wait_id;
  }
  return 0;
}

// What has to hold whenever the block's thread is not amid a change.
inline void expect_whole_list(const wp_block& block) {
  const wp_inside seen = read_inside(block);
  std::vector<bool> is_listed(WP_BLOCK_SLOTS + 1);
  std::uint8_t length = 0;
  for (std::uint8_t at = seen.innermost; at != 0; at = look(block.open[at - 1].outer) & WP_OUTER_PLACE) {
    ASSERT_LE(at, WP_BLOCK_SLOTS);
    ASSERT_FALSE(is_listed[at]) << "the list has no end";
    is_listed[at] = true;
    length++;
  }
  EXPECT_EQ(seen.depth, length);
  for (std::size_t i = 0; i < WP_BLOCK_SLOTS; i++) {
    EXPECT_EQ((look(block.open[i].outer) & WP_OUTER_LINKED) != 0, is_listed[i + 1]) << "slot " << i;
    EXPECT_TRUE(look(block.open[i].wait_id) == 0 || is_listed[i + 1]) << "slot " << i << " is open";
  }
  if (seen.innermost == 0) {
    EXPECT_EQ(seen.counter, 0U);
    return;
  }
  const wp_open_wait& slot = block.open[seen.innermost - 1];
  if (look(slot.wait_id) == 0) {
    EXPECT_NE(seen.elsewhere, 0U) << "it is free, and nobody says so";
    return;
  }
  EXPECT_EQ(seen.wait_id, look(slot.wait_id));
  EXPECT_EQ(seen.counter, look(slot.counter));
  EXPECT_EQ(seen.start, look(slot.start));
}

}  // namespace test
