// SPDX-License-Identifier: MIT
//
// Reads the records that thread blocks hold, from the memory of a process that goes on writing them (bpf/abi.h says by which
// rules), or lies.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "bpf/abi.h"
#include "src/collect/process_memory.h"

namespace waitprobe {

// Records [first, first + cnt) of a block, whole; record n is ring[n % WP_RING_RECORDS].
struct BlockRecords {
  std::uint64_t block = 0;  // its address
  std::uint64_t first = 0;
  std::uint64_t cnt = 0;  // 1 to WP_RING_RECORDS
  std::array<wp_record, WP_RING_RECORDS> ring;
};

// Calls visit(address of a block) for all blocks that were ever taken, until that is false; however many the arena says, for no
// more than the kernel has room for.
void each_block(const wp_root& root, const wp_arena& arena, const std::function<bool(std::uint64_t block)>& visit);

// Shows the blocks that a thread owns: their addresses, and the number of the thread in its own pid namespace.
void read_owners(const Memory& memory, const wp_root& root, const wp_arena& arena,
                 const std::function<void(std::uint64_t block, std::uint32_t tid)>& show);

// The blocks of one copy of the library. Threads: one at a time.
class BlockReader {
 public:
  // Shows all records that their threads have not handed over, of blocks that have new ones since they were last taken. `take`
  // says whether it has dealt with them; those that it has not are shown again. Returns whether it has with all.
  bool read(const Memory& memory, const wp_root& root, const wp_arena& arena,
            const std::function<bool(const BlockRecords&)>& take);

 private:
  // By number of the block, of which there are few, and not by its address, which the process chooses: all records before this.
  std::unordered_map<std::uint64_t, std::uint64_t> taken_;
};

}  // namespace waitprobe
