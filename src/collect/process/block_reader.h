// SPDX-License-Identifier: MIT
//
// Reads the records that thread blocks hold, from the memory of a process that goes on writing them (bpf/abi.h says by which
// rules), or lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "bpf/abi.h"
#include "src/collect/process/process_memory.h"

namespace waitprobe {

// Records [first, first + records.size()) of a block, whole; never none, and no more than WP_LONG_RING_RECORDS.
struct BlockRecords {
  std::uint64_t block = 0;  // its address
  std::uint64_t first = 0;
  std::span<const wp_record> records;
  std::span<const wp_trace_id> traces;  // of each; or none where nobody has said any, or they cannot be read
};

// Room for the records of a block, and their trace ids.
struct RecordCopies {
  std::vector<wp_record> records = std::vector<wp_record>(WP_LONG_RING_RECORDS);
  std::vector<wp_trace_id> traces;  // room is made for them where there are any
};

// As many as an instance of the library can have. A thread with many open waits has many.
constexpr std::uint64_t most_blocks = WP_FIRST_CHUNK_BLOCKS * ((std::uint64_t{1} << WP_CHUNKS) - 1);

// What is wanted of each block: `bytes` from `offset` on.
struct BlockPart {
  std::size_t offset;
  std::size_t bytes;
};

// Reads a part of all blocks that were ever taken, but of no more than `most`, and calls visit(address of the block, part)
// until that is false or one cannot be read. Returns how many it has visited.
std::uint64_t each_block(const Memory& memory, const wp_root& root, const wp_arena& arena, BlockPart part, std::uint64_t most,
                         const std::function<bool(std::uint64_t block, const unsigned char* part)>& visit);

// Shows the blocks to which threads write records, one each: their addresses, and the number of the thread in its own pid
// namespace.
void read_owners(const Memory& memory, const wp_root& root, const wp_arena& arena,
                 const std::function<void(std::uint64_t block, std::uint32_t tid)>& show);

// What a look at the blocks of an instance has come to.
struct BlockLook {
  bool all_taken = true;       // all records that were shown, and there were no others
  std::uint64_t left = 0;      // records of blocks that were too many to be shown
  bool all_read = true;        // otherwise the instance has more blocks than were to be read
  std::uint64_t read_cnt = 0;  // blocks
};

// The blocks of one instance of the library. Threads: one at a time.
class BlockReader {
 public:
  // Shows all records that their threads have not flushed, of blocks that have new ones since they were last taken, and of
  // no more blocks at a time than the kernel has room for. `take` says whether it has dealt with them; those that it has not
  // are shown again. Reads `most` blocks at the most.
  BlockLook read(const Memory& memory, const wp_root& root, const wp_arena& arena, std::uint64_t most,
                 const std::function<bool(const BlockRecords&)>& take);

  // The records of one block that its thread has not flushed, if there are any. Good until the next call.
  std::optional<BlockRecords> read_one(const Memory& memory, const wp_arena& arena, std::uint64_t block);

 private:
  // By number of the block, of which there are few, and not by its address, which the process chooses: all records before this.
  // Forgotten when it gets too large: what is shown twice counts once.
  std::unordered_map<std::uint64_t, std::uint64_t> taken_;
  RecordCopies copies_;
};

}  // namespace waitprobe
