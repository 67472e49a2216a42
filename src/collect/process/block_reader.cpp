// SPDX-License-Identifier: MIT
#include "src/collect/process/block_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

namespace waitprobe {
namespace {

static_assert(offsetof(wp_block, incarnation) == offsetof(wp_block_head, incarnation) &&
              offsetof(wp_block, written) == offsetof(wp_block_head, written) &&
              offsetof(wp_block, flushed) == offsetof(wp_block_head, flushed) &&
              offsetof(wp_block, owner_tid) == offsetof(wp_block_head, owner_tid) &&
              offsetof(wp_block, ring) == offsetof(wp_block_head, ring) &&
              offsetof(wp_block, ring_records) == offsetof(wp_block_head, ring_records) &&
              offsetof(wp_block, traces) == offsetof(wp_block_head, traces));

bool holds_records(const wp_block_head& head) {
  return wp_is_ring(head.ring_records) && head.flushed != head.written && head.written - head.flushed <= head.ring_records;
}

// What belongs to the records of a block that are to be flushed, one after the other, from an array of as many as the ring has.
template <class T>
bool copy_ring(const Memory& memory, const wp_block_head& head, std::uint64_t array, T* to) {
  const std::uint64_t cnt = head.written - head.flushed, at = head.flushed & (head.ring_records - 1);
  const std::uint64_t straight = std::min(cnt, head.ring_records - at);
  return memory.read(array + at * sizeof(T), to, straight * sizeof(T)) &&
         (straight == cnt || memory.read(array, to + straight, (cnt - straight) * sizeof(T)));
}

std::span<const wp_trace_id> copy_traces(const Memory& memory, const wp_block_head& head, std::vector<wp_trace_id>& copy) {
  if (head.traces == 0) return {};
  copy.resize(WP_LONG_RING_RECORDS);
  const std::uint64_t array = wp_traces_of_ring(head.traces, head.ring, head.ring_records);
  return copy_ring(memory, head, array, copy.data()) ? std::span<const wp_trace_id>(copy) : std::span<const wp_trace_id>();
}

// The head, then the records, then the head again: a record from `flushed` on was not overwritten before that was read, and stood
// in this ring if that is still the ring.
bool read_records(const Memory& memory, const wp_arena& arena, const wp_block_head& head, RecordCopies& copies,
                  BlockRecords& out) {
  if (!holds_records(head)) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  if (!copy_ring(memory, head, head.ring, copies.records.data())) return false;
  const std::span traces = copy_traces(memory, head, copies.traces);
  std::atomic_thread_fence(std::memory_order_acquire);
  wp_block_head after;
  if (!memory.read(out.block, &after, sizeof after) || after.incarnation != arena.incarnation || after.ring != head.ring)
    return false;
  if (after.flushed < head.flushed || after.flushed >= head.written) return false;
  out.first = after.flushed;
  const std::uint64_t skipped = after.flushed - head.flushed, cnt = head.written - after.flushed;
  out.records = std::span(copies.records).subspan(skipped, cnt);
  out.traces = traces.empty() ? traces : traces.subspan(skipped, cnt);
  return true;
}

}  // namespace

std::uint64_t each_block(const Memory& memory, const wp_root& root, const wp_arena& arena, BlockPart part, std::uint64_t most,
                         const std::function<bool(std::uint64_t, const unsigned char*)>& visit) {
  constexpr std::size_t most_at_once = 64;
  std::vector<unsigned char> parts(most_at_once * part.bytes);
  std::uint64_t left = std::min<std::uint64_t>({arena.block_cnt, most, most_blocks}), visited = 0;
  for (unsigned i = 0; i < WP_CHUNKS && left != 0 && root.chunks[i] != 0; i++) {
    const std::uint64_t cnt = std::min<std::uint64_t>(left, std::uint64_t{WP_FIRST_CHUNK_BLOCKS} << i);
    for (std::uint64_t k = 0; k < cnt; k += most_at_once) {
      const std::uint64_t first = root.chunks[i] + k * sizeof(wp_block);
      const std::size_t wanted = std::min<std::uint64_t>(cnt - k, most_at_once);
      const std::size_t got = memory.read_each(first + part.offset, sizeof(wp_block), wanted, parts.data(), part.bytes);
      for (std::size_t j = 0; j < got; j++, visited++) {
        if (!visit(first + j * sizeof(wp_block), parts.data() + j * part.bytes)) return visited;
      }
      if (got != wanted) return visited;  // it ends, or lies: the rest is no better
    }
    left -= cnt;
  }
  return visited;
}

// In which a thread has more waits open than one block holds, it owns others as well, and `owner` of those is 0.
void read_owners(const Memory& memory, const wp_root& root, const wp_arena& arena,
                 const std::function<void(std::uint64_t block, std::uint32_t tid)>& show) {
  constexpr std::size_t from = offsetof(wp_block, owner), bytes = WP_BLOCK_HEADER - from;
  each_block(memory, root, arena, {from, bytes}, most_blocks, [&](std::uint64_t address, const unsigned char* part) {
    std::uint64_t owner = 0;
    std::uint32_t tid = 0;
    std::memcpy(&owner, part, sizeof owner);
    std::memcpy(&tid, part + offsetof(wp_block, owner_tid) - from, sizeof tid);
    if (owner != 0 && tid != 0) show(address, tid);
    return true;
  });
}

BlockLook BlockReader::read(const Memory& memory, const wp_root& root, const wp_arena& arena, std::uint64_t most,
                            const std::function<bool(const BlockRecords&)>& take) {
  BlockLook look;
  BlockRecords records;
  std::uint64_t number = 0, shown = 0;
  look.all_read = std::min<std::uint64_t>(arena.block_cnt, most_blocks) <= most;
  look.read_cnt =
      each_block(memory, root, arena, {0, sizeof(wp_block_head)}, most, [&](std::uint64_t block, const unsigned char* part) {
        const std::uint64_t index = number++;
        wp_block_head head;
        std::memcpy(&head, part, sizeof head);
        if (head.incarnation != arena.incarnation || head.written == head.flushed) return true;
        const auto known = taken_.find(index);
        if (known != taken_.end() && known->second == head.written) return true;
        if (shown == WP_BLOCKS_MAX) {
          look.all_taken = false;
          look.left += std::min<std::uint64_t>(head.written - head.flushed, WP_LONG_RING_RECORDS);
          return true;
        }
        records.block = block;
        if (!read_records(memory, arena, head, copies_, records)) return true;  // its thread has flushed them meanwhile
        shown++;
        if (!take(records)) {
          look.all_taken = false;
        } else {
          if (taken_.size() >= 2 * WP_BLOCKS_MAX) taken_.clear();
          taken_[index] = head.written;
        }
        return true;
      });
  return look;
}

std::optional<BlockRecords> BlockReader::read_one(const Memory& memory, const wp_arena& arena, std::uint64_t block) {
  wp_block_head head;
  BlockRecords records;
  records.block = block;
  if (!memory.read(block, &head, sizeof head) || head.incarnation != arena.incarnation) return std::nullopt;
  if (!read_records(memory, arena, head, copies_, records)) return std::nullopt;
  return records;
}

}  // namespace waitprobe
