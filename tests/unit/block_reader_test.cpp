// SPDX-License-Identifier: MIT
//
// The reader of thread blocks: what a thread writes meanwhile, and what a process could lie.
#include "src/collect/process/block_reader.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "tests/unit/block_process.h"

namespace waitprobe {

TEST(BlockReader, RemembersNoMoreOfAProcessThatMovesItsBlocksAllTheTime) {
  BlockProcess process;
  BlockReader reader;
  const auto look = [&](std::uint64_t round) {
    process.root.chunks[0] = blocks_at + round * 0x100000;
    for (std::size_t i = 0; i < process.blocks.size(); i++) {
      process.blocks[i].ring = process.root.chunks[0] + i * sizeof(wp_block) + WP_RING_OFFSET;
    }
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

TEST(BlockReader, ShowsWhatWasNotHandedOver) {
  BlockProcess process;
  process.write(process.blocks[0], 3);
  process.write(process.blocks[2], WP_RING_RECORDS + 7);
  BlockReader reader;
  const Shown shown = {numbers(0, 3), numbers(WP_RING_RECORDS, WP_RING_RECORDS + 7)};
  EXPECT_EQ(process.read(reader), shown);
  EXPECT_TRUE(process.look.all_taken);
}

TEST(BlockReader, ShowsAFullRing) {
  BlockProcess process;
  process.write(process.blocks[0], WP_RING_RECORDS);
  BlockReader reader;
  EXPECT_EQ(process.read(reader), Shown{numbers(0, WP_RING_RECORDS)});
}

TEST(BlockReader, ShowsABlockAgainOnlyWhenItHasNewRecordsOrWasNotTaken) {
  BlockProcess process;
  process.write(process.blocks[0], 3);
  BlockReader reader;
  EXPECT_EQ(process.read(reader, false).size(), 1U);
  EXPECT_FALSE(process.look.all_taken);
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
      BlockProcess process;
      process.write(process.blocks[0], 100);
      process.memory.before_read = [&](std::uint64_t) {
        if (static_cast<std::uint64_t>(process.memory.reads) == moment) process.write(process.blocks[0], meanwhile);
      };
      BlockReader reader;
      process.read(reader);
    }
  }
}

TEST(BlockReader, ShowsALongRing) {
  BlockProcess process;
  process.exchange_ring(process.blocks[1]);
  process.write(process.blocks[1], 2 * WP_LONG_RING_RECORDS + 7);
  process.exchange_ring(process.blocks[1]);
  process.exchange_ring(process.blocks[1]);
  process.write(process.blocks[1], WP_LONG_RING_RECORDS);  // which goes round its end
  BlockReader reader;
  const Shown shown = {numbers(2 * WP_LONG_RING_RECORDS + 7, 3 * WP_LONG_RING_RECORDS + 7)};
  EXPECT_EQ(process.read(reader), shown);
}

// The thread gets a longer ring while it is read, or gives it back: whatever the moment, no record is shown from the wrong one.
TEST(BlockReader, LeavesOutWhatIsInAnotherRingMeanwhile) {
  for (std::uint64_t moment = 1; moment <= 12; moment++) {
    for (const int exchanges : {1, 2, 3}) {
      for (const std::uint64_t meanwhile : {0, 1, 100, 300}) {
        BlockProcess process;
        process.write(process.blocks[0], 100);
        process.memory.before_read = [&](std::uint64_t) {
          if (static_cast<std::uint64_t>(process.memory.reads) != moment) return;
          for (int i = 0; i < exchanges; i++) {
            process.exchange_ring(process.blocks[0]);
            process.write(process.blocks[0], meanwhile);
          }
        };
        BlockReader reader;
        process.read(reader);
      }
    }
  }
}

TEST(BlockReader, IsNotFooled) {
  const auto shows_nothing = [](BlockProcess& process) {
    BlockReader reader;
    EXPECT_TRUE(process.read(reader).empty());
    EXPECT_LT(process.memory.reads, 4 * WP_BLOCKS_MAX);
  };
  BlockProcess stranger;  // a block of another incarnation, as after an exec
  stranger.write(stranger.blocks[0], 3);
  stranger.blocks[0].incarnation++;
  shows_nothing(stranger);

  BlockProcess ahead;  // more than the ring can hold
  ahead.write(ahead.blocks[0], 3);
  ahead.blocks[0].written = WP_RING_RECORDS + 1;
  shows_nothing(ahead);

  // A ring of another length, or that is nowhere.
  for (const std::uint32_t records : {0U, 1U, WP_RING_RECORDS + 1, 2 * WP_RING_RECORDS, 2 * WP_LONG_RING_RECORDS, UINT32_MAX}) {
    BlockProcess odd;
    odd.write(odd.blocks[0], 3);
    if (records == 0) odd.blocks[0].ring = 0xdead0000beef0000;
    if (records != 0) odd.blocks[0].ring_records = records;
    shows_nothing(odd);
  }
  BlockProcess backwards;
  backwards.blocks[0].flushed = 9;
  backwards.blocks[0].written = 3;
  shows_nothing(backwards);

  BlockProcess wild;
  wild.root.chunks[0] = 0xdead0000beef0000;
  shows_nothing(wild);

  BlockProcess wrapping;
  wrapping.root.chunks[0] = UINT64_MAX - 100;
  shows_nothing(wrapping);

  BlockProcess countless;
  countless.arena.block_cnt = UINT64_MAX;
  for (auto& chunk : countless.root.chunks) chunk = blocks_at;
  shows_nothing(countless);
}

namespace {

// The one block that it is given stands wherever a block is looked for.
class Repeated : public Memory {
 public:
  explicit Repeated(wp_block& block) : block_(&block) {}

  bool read(std::uint64_t address, void* to, std::size_t bytes) const override {
    std::memcpy(to, reinterpret_cast<const char*>(block_) + address % sizeof(wp_block), bytes);
    return true;
  }

 private:
  const wp_block* block_;
};

// Each with three records.
struct ManyBlocks {
  explicit ManyBlocks(std::uint64_t cnt) {
    for (auto& chunk : root.chunks) chunk = 0x100000;
    arena.incarnation = block.incarnation = 77;
    arena.block_cnt = cnt;
    block.written = 3;
    block.ring = WP_RING_OFFSET;
    block.ring_records = WP_RING_RECORDS;
    for (std::uint64_t i = 0; i < 3; i++) block.own_ring[i] = {1, i, 0};
  }

  BlockLook look(std::uint64_t most = most_blocks) {
    shown = 0;
    return reader.read(Repeated(block), root, arena, most, [&](const BlockRecords&) { return ++shown != 0; });
  }

  wp_root root = {};
  wp_arena arena = {};
  wp_block block = {};
  BlockReader reader;
  std::uint64_t shown = 0;
};

}  // namespace

// A thread that has left 600,000 waits open has 20,000 blocks, and the home of the next one stands behind them.
TEST(BlockReader, ReadsAllBlocksThatACopyCanHave) {
  ManyBlocks all(UINT64_MAX);
  all.block.flushed = all.block.written;
  const BlockLook look = all.look();
  EXPECT_TRUE(look.all_read && look.all_taken);
  EXPECT_EQ(look.read_cnt, most_blocks);
  EXPECT_EQ(all.shown, 0U);
}

TEST(BlockReader, SaysThatBlocksWereLeftOut) {
  ManyBlocks some(100);
  const BlockLook look = some.look(99);
  EXPECT_FALSE(look.all_read);
  EXPECT_EQ(look.read_cnt, 99U);
  EXPECT_EQ(some.shown, 99U);
  EXPECT_TRUE(some.look(100).all_read);
}

TEST(BlockReader, ShowsNoMoreBlocksAtATimeThanTheKernelHasRoomForAndSaysSo) {
  ManyBlocks many(WP_BLOCKS_MAX + 2);
  const BlockLook look = many.look();
  EXPECT_TRUE(look.all_read);
  EXPECT_FALSE(look.all_taken);
  EXPECT_EQ(look.left, 2U * 3U);
  EXPECT_EQ(many.shown, std::uint64_t{WP_BLOCKS_MAX});
  EXPECT_TRUE(many.look().all_taken);
  EXPECT_EQ(many.shown, 2U);
}

TEST(BlockReader, ReadsManyBlocksByFewCalls) {
  std::vector<wp_block> blocks(1000);
  for (wp_block& block : blocks) {
    block.incarnation = 77;
    block.ring = reinterpret_cast<std::uint64_t>(block.own_ring);
    block.ring_records = WP_RING_RECORDS;
  }
  blocks[999].written = 5;
  wp_root root = {};
  wp_arena arena = {};
  arena.incarnation = 77;
  arena.block_cnt = blocks.size();
  for (std::size_t i = 0, at = 0; at < blocks.size(); at += std::size_t{WP_FIRST_CHUNK_BLOCKS} << i, i++) {
    root.chunks[i] = reinterpret_cast<std::uint64_t>(&blocks[at]);
  }
  class Counting : public ProcessMemory {
   public:
    Counting() : ProcessMemory(static_cast<std::uint32_t>(getpid())) {}
    std::size_t read_each(std::uint64_t address, std::size_t stride, std::size_t cnt, unsigned char* to,
                          std::size_t bytes) const override {
      calls++;
      return ProcessMemory::read_each(address, stride, cnt, to, bytes);
    }
    mutable int calls = 0;
  };
  const Counting memory;
  BlockReader reader;
  std::uint64_t cnt = 0;
  const BlockLook look = reader.read(memory, root, arena, most_blocks, [&](const BlockRecords& records) {
    cnt += records.records.size();
    return true;
  });
  EXPECT_EQ(look.read_cnt, blocks.size());
  EXPECT_EQ(cnt, 5U);
  EXPECT_LE(memory.calls, 25);
}

TEST(ReadOwners, ShowsTheOneBlockOfEachThreadThatHoldsRecords) {
  BlockProcess process;
  process.blocks[0].owner_tid = process.blocks[1].owner_tid = 7;
  process.blocks[1].owner = 0x7000;
  std::vector<std::uint64_t> shown;
  read_owners(process.memory, process.root, process.arena, [&](std::uint64_t block, std::uint32_t tid) {
    EXPECT_EQ(tid, 7U);
    shown.push_back(block);
  });
  EXPECT_EQ(shown, std::vector<std::uint64_t>{blocks_at + sizeof(wp_block)});
}

TEST(ProcessMemory, ReadsEachUpToTheFirstThatCannotBeRead) {
  const ProcessMemory memory(static_cast<std::uint32_t>(getpid()));
  constexpr std::size_t pages = 600, page = 4096;
  auto* mapped =
      static_cast<unsigned char*>(mmap(nullptr, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(mapped, MAP_FAILED);
  for (std::size_t i = 0; i < pages; i++) mapped[i * page + 8] = static_cast<unsigned char>(i);
  std::vector<unsigned char> read(pages);
  const auto address = reinterpret_cast<std::uint64_t>(mapped) + 8;
  EXPECT_EQ(memory.read_each(address, page, pages, read.data(), 1), pages);
  for (std::size_t i = 0; i < pages; i++) EXPECT_EQ(read[i], static_cast<unsigned char>(i)) << i;
  ASSERT_EQ(mprotect(mapped + 300 * page, page, PROT_NONE), 0);
  EXPECT_EQ(memory.read_each(address, page, pages, read.data(), 1), 300U);
  EXPECT_EQ(memory.read_each(UINT64_MAX - 100, page, pages, read.data(), 1), 0U);
  munmap(mapped, pages * page);
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
  } ring = {{0x2000, 0, 0, 3, 0, 0}, "abc"};
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
  } huge = {{0, 0, 7, UINT32_MAX, WP_CLASS_IDLE, 0}, "x"};
  memory.map(0x2000, &huge, sizeof huge);
  const auto name = read_counter(memory, 0x2000);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->key.size(), static_cast<std::size_t>(WP_KEY_MAX));
  EXPECT_EQ(name->key_len, UINT32_MAX);
  EXPECT_EQ(name->flags, WP_CLASS_IDLE + 0U);
}

}  // namespace waitprobe
