// SPDX-License-Identifier: MIT
//
// The reader of thread blocks: the trace ids of records.
#include "tests/unit/block_process.h"

namespace waitprobe {

TEST(BlockReader, ShowsTheTraceIdsOfRecords) {
  BlockProcess process;
  wp_block& block = process.blocks[0];
  process.write(block, WP_RING_RECORDS - 3);
  block.flushed = block.written;
  process.write(block, 7);  // over the end of the ring
  process.say_traces(block);
  BlockReader reader;
  EXPECT_EQ(process.read(reader, false).size(), 1U) << "the records are there, whatever becomes of the ids";
  EXPECT_EQ(process.trace_cnt, 0U);
  process.map_traces();
  EXPECT_EQ(process.read(reader, false).size(), 1U);
  EXPECT_EQ(process.trace_cnt, 7U);
  // What is flushed meanwhile is left out here too.
  process.memory.before_read = [&](std::uint64_t address) {
    if (address == traces_at + offsetof(wp_traces, of_own_ring)) block.flushed += 2;
  };
  EXPECT_EQ(process.read(reader), Shown{numbers(WP_RING_RECORDS - 1, WP_RING_RECORDS + 4)});
  EXPECT_EQ(process.trace_cnt, 5U);
}

}  // namespace waitprobe
