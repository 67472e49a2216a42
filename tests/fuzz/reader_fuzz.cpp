// SPDX-License-Identifier: MIT
//
// A process whose memory is whatever the fuzzer likes, read as the tool reads it: root, keys, arena, blocks, counters.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "src/collect/process/block_reader.h"
#include "src/collect/process/process_memory.h"

namespace {

// The input stands at `base`, over and over, so that an input of a few kilobytes is a process of many blocks. Each read may
// find it changed, as if the process wrote on.
class FuzzedMemory : public waitprobe::Memory {
 public:
  static constexpr std::uint64_t base = 0x10000, bytes = 1 << 22;

  FuzzedMemory(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool read(std::uint64_t address, void* to, std::size_t cnt) const override {
    if (address < base || address - base > bytes || cnt > bytes - (address - base)) return false;
    auto* out = static_cast<std::uint8_t*>(to);
    for (std::size_t done = 0; done < cnt;) {
      const std::size_t from = (address - base + done) % size_, part = std::min(cnt - done, size_ - from);
      std::memcpy(out + done, data_ + from, part);
      done += part;
    }
    if (++reads_ % 7 == 0 && cnt >= 8) out[reads_ % cnt] ^= data_[reads_ % size_];
    return true;
  }

  std::size_t reads() const { return reads_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  mutable std::size_t reads_ = 0;
};

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < sizeof(wp_root)) return 0;
  const FuzzedMemory memory(data, size);
  wp_root root;
  std::memcpy(&root, data, sizeof root);
  const bool valid = read_root(memory, FuzzedMemory::base).has_value();
  check(!valid || root.magic == WP_ROOT_MAGIC);
  root.counter_cnt %= 300;  // the bound has a test of its own, and takes time
  if (const auto keys = read_keys(memory, root)) check(keys->size() <= 300);
  // As if the arena were readable, whatever it says.
  wp_arena arena = waitprobe::read_arena(memory, root).value_or(wp_arena{});
  arena.block_cnt %= 40;
  waitprobe::BlockReader reader;
  for (int i = 0; i < 2; i++) {
    reader.read(memory, root, arena, WP_BLOCKS_MAX, [&](const waitprobe::BlockRecords& records) {
      check(!records.records.empty() && records.records.size() <= WP_LONG_RING_RECORDS);
      const auto name = read_counter(memory, records.records.front().counter & WP_REF_ADDRESS);
      check(!name || name->key.size() <= WP_KEY_MAX);
      return (records.first & 1) != 0;
    });
  }
  return 0;
}

// A seed that is right, for the fuzzer to begin with: the root, its arena behind it, and blocks at multiples of their size.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  constexpr std::size_t whole = 2 * sizeof(wp_block);
  if (max_size < whole || (size >= whole && seed % 8 != 0)) return LLVMFuzzerMutate(data, size, max_size);
  std::memset(data, 0, whole);
  wp_root root = {};
  root.magic = WP_ROOT_MAGIC;
  root.version = WP_ABI_VERSION;
  root.size = sizeof root;
  root.counters = FuzzedMemory::base + 1024;
  root.counter_buckets = 1 + seed % 64;
  root.counter_cnt = seed % 1000;
  root.arena = FuzzedMemory::base + 512;
  for (__u64& chunk : root.chunks) chunk = FuzzedMemory::base + sizeof(wp_block);
  wp_arena arena = {};
  arena.incarnation = 1 + seed;
  arena.block_cnt = seed % 1000;
  wp_block block = {};
  block.incarnation = arena.incarnation;
  block.written = seed % 1000;
  block.flushed = block.written - seed % 300;
  block.ring = FuzzedMemory::base + sizeof(wp_block) + WP_RING_OFFSET;
  block.ring_records = seed % 5 == 0 ? WP_LONG_RING_RECORDS : WP_RING_RECORDS;
  std::memcpy(data, &root, sizeof root);
  std::memcpy(data + 512, &arena, sizeof arena);
  std::memcpy(data + sizeof(wp_block), &block, sizeof block);
  return LLVMFuzzerMutate(data, whole, max_size);
}
