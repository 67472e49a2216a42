// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/collect/process/block_reader.h"
#include "tests/unit/fake_memory.h"

namespace waitprobe {

using Shown = std::vector<std::vector<std::uint64_t>>;  // the numbers of records, block by block
inline constexpr std::uint64_t blocks_at = 0x10000, arena_at = 0x5000, long_ring_at = 0x900000, traces_at = 0xa00000;

// A process with three blocks.
class BlockProcess {
 public:
  BlockProcess() {
    root.arena = arena_at;
    root.chunks[0] = blocks_at;
    arena.incarnation = 77;
    arena.block_cnt = 3;
    for (std::size_t i = 0; i < blocks.size(); i++) {
      blocks[i].incarnation = arena.incarnation;
      blocks[i].ring = blocks_at + i * sizeof(wp_block) + WP_RING_OFFSET;
      blocks[i].ring_records = WP_RING_RECORDS;
    }
    memory.map(blocks_at, blocks.data(), blocks.size() * sizeof(wp_block));
    memory.map(long_ring_at, long_ring.data(), long_ring.size() * sizeof(wp_record));
  }

  void write(wp_block& block, std::uint64_t cnt) {
    for (std::uint64_t i = 0; i < cnt; i++) {
      if (block.written - block.flushed == block.ring_records) block.flushed = block.written;
      wp_record* const ring = block.ring == long_ring_at ? long_ring.data() : block.own_ring;
      ring[block.written % block.ring_records] = {1, block.written, 0};
      block.written++;
    }
  }

  // As a thread does that has become busy, or that ends.
  void exchange_ring(wp_block& block) {
    block.flushed = block.written;
    const bool is_long = block.ring == long_ring_at;
    block.ring = is_long ? blocks_at + static_cast<std::uint64_t>(&block - blocks.data()) * sizeof(wp_block) + WP_RING_OFFSET
                         : long_ring_at;
    block.ring_records = is_long ? WP_RING_RECORDS : WP_LONG_RING_RECORDS;
  }

  // As a thread that says the number of a wait. In memory that is not there until map_traces().
  void say_traces(wp_block& block) {
    block.traces = traces_at;
    for (std::uint64_t n = block.flushed; n < block.written; n++) traces.of_own_ring[n % WP_RING_RECORDS] = {{n, 1}};
  }
  void map_traces() { memory.map(traces_at, &traces, sizeof traces); }

  Shown read(BlockReader& reader, bool taken = true) {
    Shown shown;
    look = reader.read(memory, root, arena, most, [&](const BlockRecords& records) {
      shown.emplace_back();
      std::uint64_t n = records.first;
      trace_cnt = records.traces.size();
      for (std::size_t i = 0; i < records.traces.size(); i++) EXPECT_EQ(records.traces[i].half[0], n + i);
      for (const wp_record& record : records.records) {
        EXPECT_EQ(record.duration, n) << "that is not record " << n;
        shown.back().push_back(n++);
      }
      return taken;
    });
    return shown;
  }

  wp_root root = {};
  wp_arena arena = {};
  std::vector<wp_block> blocks = std::vector<wp_block>(3);
  std::vector<wp_record> long_ring = std::vector<wp_record>(WP_LONG_RING_RECORDS);
  test::FakeMemory memory;
  wp_traces traces = {};
  std::size_t trace_cnt = 0;  // of the block that was shown last
  std::uint64_t most = most_blocks;
  BlockLook look;
};

inline std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> all;
  for (; from < to; from++) all.push_back(from);
  return all;
}

}  // namespace waitprobe
