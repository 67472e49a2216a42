// SPDX-License-Identifier: MIT
//
// The reader of thread blocks: what a thread writes meanwhile, and what a process could lie.
#include "src/collect/block_reader.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <vector>

#include "tests/unit/fake_memory.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t blocks_at = 0x10000, arena_at = 0x5000;

// A process with three blocks.
class Process {
 public:
  Process() {
    root.arena = arena_at;
    root.chunks[0] = blocks_at;
    arena.incarnation = 77;
    arena.block_cnt = 3;
    for (wp_block& block : blocks) block.incarnation = arena.incarnation;
    memory.map(blocks_at, blocks.data(), blocks.size() * sizeof(wp_block));
  }

  void write(wp_block& block, std::uint64_t cnt) {
    for (std::uint64_t i = 0; i < cnt; i++) {
      if (block.written - block.handed == WP_RING_RECORDS) block.handed = block.written;
      block.ring[block.written % WP_RING_RECORDS] = {1, block.written, 0};
      block.written++;
    }
  }

  // The numbers of the records that the reader shows, block by block.
  std::vector<std::vector<std::uint64_t>> read(BlockReader& reader, bool taken = true) {
    std::vector<std::vector<std::uint64_t>> shown;
    all_taken = reader.read(memory, root, arena, [&](const BlockRecords& records) {
      shown.emplace_back();
      for (std::uint64_t n = records.first; n < records.first + records.cnt; n++) {
        const wp_record& record = records.ring[n % WP_RING_RECORDS];
        EXPECT_EQ(record.duration, n) << "that is not record " << n;
        shown.back().push_back(n);
      }
      return taken;
    });
    return shown;
  }

  wp_root root = {};
  wp_arena arena = {};
  std::vector<wp_block> blocks = std::vector<wp_block>(3);
  test::FakeMemory memory;
  bool all_taken = false;
};

std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> all;
  for (; from < to; from++) all.push_back(from);
  return all;
}

TEST(BlockReader, RemembersNoMoreOfAProcessThatMovesItsBlocksAllTheTime) {
  Process process;
  BlockReader reader;
  const auto look = [&](std::uint64_t round) {
    process.root.chunks[0] = blocks_at + round * 0x100000;
    process.memory = {};
    process.memory.map(process.root.chunks[0], process.blocks.data(), process.blocks.size() * sizeof(wp_block));
    for (wp_block& block : process.blocks) process.write(block, 1);
    EXPECT_EQ(process.read(reader).size(), process.blocks.size());
  };
  for (std::uint64_t round = 0; round < 100; round++) look(round);
  const std::size_t before = mallinfo2().uordblks;
  for (std::uint64_t round = 100; round < 10'000; round++) look(round);
  EXPECT_LE(mallinfo2().uordblks, before + 100'000);
}

}  // namespace

TEST(BlockReader, ShowsWhatWasNotHandedOver) {
  Process process;
  process.write(process.blocks[0], 3);
  process.write(process.blocks[2], WP_RING_RECORDS + 7);
  BlockReader reader;
  const auto shown = process.read(reader);
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_EQ(shown[0], numbers(0, 3));
  EXPECT_EQ(shown[1], numbers(WP_RING_RECORDS, WP_RING_RECORDS + 7));
  EXPECT_TRUE(process.all_taken);
}

TEST(BlockReader, ShowsAFullRing) {
  Process process;
  process.write(process.blocks[0], WP_RING_RECORDS);
  BlockReader reader;
  const auto shown = process.read(reader);
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown[0], numbers(0, WP_RING_RECORDS));
}

TEST(BlockReader, ShowsABlockAgainOnlyWhenItHasNewRecordsOrWasNotTaken) {
  Process process;
  process.write(process.blocks[0], 3);
  BlockReader reader;
  EXPECT_EQ(process.read(reader, false).size(), 1U);
  EXPECT_FALSE(process.all_taken);
  EXPECT_EQ(process.read(reader).size(), 1U);
  EXPECT_EQ(process.read(reader).size(), 0U);
  process.write(process.blocks[0], 1);
  EXPECT_EQ(process.read(reader).size(), 1U);
}

// The thread goes on while it is read: whatever the moment, no record is shown that was overwritten.
TEST(BlockReader, LeavesOutWhatWasOverwrittenMeanwhile) {
  for (std::uint64_t moment = 1; moment <= 12; moment++) {
    for (const std::uint64_t meanwhile : {std::uint64_t{1}, std::uint64_t{WP_RING_RECORDS - 1}, std::uint64_t{WP_RING_RECORDS},
                                          std::uint64_t{3 * WP_RING_RECORDS + 5}}) {
      Process process;
      process.write(process.blocks[0], 100);
      process.memory.before_read = [&](std::uint64_t) {
        if (static_cast<std::uint64_t>(process.memory.reads) == moment) process.write(process.blocks[0], meanwhile);
      };
      BlockReader reader;
      process.read(reader);
    }
  }
}

TEST(BlockReader, IsNotFooled) {
  const auto shows_nothing = [](Process& process) {
    BlockReader reader;
    EXPECT_TRUE(process.read(reader).empty());
    EXPECT_LT(process.memory.reads, 4 * WP_BLOCKS_MAX);
  };
  Process stranger;  // a block of another incarnation, as after an exec
  stranger.write(stranger.blocks[0], 3);
  stranger.blocks[0].incarnation++;
  shows_nothing(stranger);

  Process ahead;  // more than the ring can hold
  ahead.write(ahead.blocks[0], 3);
  ahead.blocks[0].written = WP_RING_RECORDS + 1;
  shows_nothing(ahead);

  Process backwards;
  backwards.blocks[0].handed = 9;
  backwards.blocks[0].written = 3;
  shows_nothing(backwards);

  Process wild;
  wild.root.chunks[0] = 0xdead0000beef0000;
  shows_nothing(wild);

  Process wrapping;
  wrapping.root.chunks[0] = UINT64_MAX - 100;
  shows_nothing(wrapping);

  Process countless;
  countless.arena.block_cnt = UINT64_MAX;
  for (auto& chunk : countless.root.chunks) chunk = blocks_at;
  shows_nothing(countless);
}

TEST(BlockReader, StopsAtBlocksThatTheKernelHasNoRoomFor) {
  Process process;
  std::vector<wp_block> many(WP_FIRST_CHUNK_BLOCKS);
  for (wp_block& block : many) block.incarnation = process.arena.incarnation;
  process.arena.block_cnt = UINT64_MAX;
  for (auto& chunk : process.root.chunks) chunk = blocks_at;
  process.memory.map(blocks_at, many.data(), many.size() * sizeof(wp_block));
  BlockReader reader;
  process.read(reader);
  EXPECT_LE(process.memory.reads, WP_BLOCKS_MAX);
}

TEST(ProcessMemory, KeysOfACounterRingAreReadOnce) {
  test::FakeMemory memory;
  wp_root root = {};
  root.counters = 0x1000;
  root.counter_buckets = 1;
  root.counter_cnt = 3;
  std::uint64_t head = 0x2000;
  struct {
    wp_counter counter;
    char key[8];
  } ring = {{0x2000, 0, 0, 3}, "abc"};
  memory.map(0x1000, &head, sizeof head);
  memory.map(0x2000, &ring, sizeof ring);
  const auto keys = read_keys(memory, root);
  ASSERT_TRUE(keys.has_value());
  EXPECT_EQ(*keys, std::vector<std::string>(3, "abc"));
  root.counter_cnt = UINT32_MAX;
  EXPECT_LE(read_keys(memory, root)->size(), 100'000U);
}

TEST(ProcessMemory, AKeyIsCutAndItsLengthKept) {
  test::FakeMemory memory;
  struct {
    wp_counter counter;
    char key[WP_KEY_MAX];
  } huge = {{0, 0, 7, UINT32_MAX}, "x"};
  memory.map(0x2000, &huge, sizeof huge);
  const auto name = read_counter(memory, 0x2000);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->key.size(), static_cast<std::size_t>(WP_KEY_MAX));
  EXPECT_EQ(name->key_len, UINT32_MAX);
}

}  // namespace waitprobe
