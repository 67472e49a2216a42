// SPDX-License-Identifier: MIT
#include "src/collect/block_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>

namespace waitprobe {
namespace {

struct Head {
  std::uint64_t incarnation;
  std::uint64_t arena;
  std::uint64_t written;
  std::uint64_t handed;
};
static_assert(offsetof(wp_block, incarnation) == offsetof(Head, incarnation) &&
              offsetof(wp_block, written) == offsetof(Head, written) && offsetof(wp_block, handed) == offsetof(Head, handed));

std::optional<Head> read_head(const Memory& memory, std::uint64_t block, const wp_arena& arena) {
  Head head;
  if (!memory.read(block, &head, sizeof head) || head.incarnation != arena.incarnation) return std::nullopt;
  return head;
}

// `written`, then the records, then `handed`: a record from `handed` on was not overwritten before that was read.
bool read_records(const Memory& memory, const wp_arena& arena, std::uint64_t written, BlockRecords& out) {
  std::atomic_thread_fence(std::memory_order_acquire);
  if (!memory.read(out.block + WP_RING_OFFSET, out.ring.data(), sizeof out.ring)) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  const auto after = read_head(memory, out.block, arena);
  if (!after || after->handed >= written || written - after->handed > WP_RING_RECORDS) return false;
  out.first = after->handed;
  out.cnt = written - after->handed;
  return true;
}

}  // namespace

void each_block(const wp_root& root, const wp_arena& arena, const std::function<bool(std::uint64_t)>& visit) {
  std::uint64_t left = std::min<std::uint64_t>(arena.block_cnt, WP_BLOCKS_MAX);
  for (unsigned i = 0; i < WP_CHUNKS && left != 0 && root.chunks[i] != 0; i++) {
    const std::uint64_t cnt = std::min<std::uint64_t>(left, std::uint64_t{WP_FIRST_CHUNK_BLOCKS} << i);
    for (std::uint64_t k = 0; k < cnt; k++) {
      if (!visit(root.chunks[i] + k * sizeof(wp_block))) return;
    }
    left -= cnt;
  }
}

void read_owners(const Memory& memory, const wp_root& root, const wp_arena& arena,
                 const std::function<void(std::uint64_t block, std::uint32_t tid)>& show) {
  each_block(root, arena, [&](std::uint64_t block) {
    std::uint32_t tid = 0;
    if (!memory.read(block + offsetof(wp_block, owner_tid), &tid, sizeof tid)) return false;
    if (tid != 0) show(block, tid);
    return true;
  });
}

bool BlockReader::read(const Memory& memory, const wp_root& root, const wp_arena& arena,
                       const std::function<bool(const BlockRecords&)>& take) {
  bool all_taken = true;
  BlockRecords records;
  std::uint64_t next = 0;
  each_block(root, arena, [&](std::uint64_t block) {
    const std::uint64_t number = next++;
    Head head;
    if (!memory.read(block, &head, sizeof head)) return false;  // it ends, or lies: the rest is no better
    if (head.incarnation != arena.incarnation || head.written == head.handed) return true;
    std::uint64_t& taken = taken_[number];
    if (taken == head.written) return true;
    records.block = block;
    if (!read_records(memory, arena, head.written, records)) return true;  // its thread has handed them over meanwhile
    if (take(records)) {
      taken = head.written;
    } else {
      all_taken = false;
    }
    return true;
  });
  return all_taken;
}

}  // namespace waitprobe
