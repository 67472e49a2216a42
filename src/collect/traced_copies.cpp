// SPDX-License-Identifier: MIT
#include "src/collect/traced_copies.h"

#include <algorithm>
#include <tuple>

#include "src/collect/process.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_introduced = 4 * WP_POOL_SIZE;  // remembered; then forgotten, and introduced again

}  // namespace

void TracedCopies::add(const Copy& copy, bool is_new) {
  const Place place{copy.pid, copy.root_address};
  if (copies_.contains(place)) return;
  const ProcessMemory memory(copy.pid);
  const auto root = read_root(memory, copy.root_address);
  if (!root) return;
  Traced& traced = copies_[place];
  traced.no_memory = is_new ? 0 : root->lost_memory;
  if (const auto arena = read_arena(memory, *root))
    become(traced, place, arena->incarnation, is_new ? Counts{} : counts_of(*arena));
}

// From now on it is another program, or a fork, or has waited for the first time.
void TracedCopies::become(Traced& copy, const Place& place, std::uint64_t incarnation, const Counts& base) {
  if (copy.incarnation != 0) end(copy);
  copy.incarnation = incarnation;
  copy.counts = base;
  copy.comm = comm_of(place.first);
  copy.process_start_ticks = start_ticks_of(place.first);
  copy.blocks = BlockReader();
  incarnations_.insert(incarnation);
}

// What a copy had counted when its last thread ended is known to the kernel alone.
void TracedCopies::end(Traced& copy) {
  if (copy.incarnation == 0) return;
  if (const auto arena = program_->last_arena(copy.incarnation)) count(copy.counts, counts_of(*arena));
  incarnations_.erase(copy.incarnation);
  ended_.insert(copy.incarnation);
}

void TracedCopies::count(Counts& known, const Counts& now) {
  const auto growth = [](std::uint64_t later, std::uint64_t earlier) { return later > earlier ? later - earlier : 0; };
  sum_.reentered += growth(now.reentered, known.reentered);
  sum_.late += growth(now.late, known.late);
  sum_.clamped += growth(now.clamped, known.clamped);
  known = {std::max(now.reentered, known.reentered), std::max(now.late, known.late), std::max(now.clamped, known.clamped)};
}

bool TracedCopies::look() {
  bool all_brought = true;
  for (auto entry = copies_.begin(); entry != copies_.end();) {
    if (look_at(entry->first, entry->second, all_brought)) {
      ++entry;
    } else {
      end(entry->second);
      entry = copies_.erase(entry);
    }
  }
  make_room();
  return all_brought;
}

// False when the process has ended, or has become one without this copy.
bool TracedCopies::look_at(const Place& place, Traced& copy, bool& all_brought) {
  const ProcessMemory memory(place.first);
  const auto root = read_root(memory, place.second);
  if (!root) return false;
  if (root->lost_memory > copy.no_memory) no_memory_ += root->lost_memory - copy.no_memory;
  copy.no_memory = root->lost_memory;
  const auto arena = read_arena(memory, *root);
  if (!arena) return true;
  if (arena->incarnation != copy.incarnation) become(copy, place, arena->incarnation, {});
  count(copy.counts, counts_of(*arena));
  if (!by_batches_) return true;
  all_brought &=
      copy.blocks.read(memory, *root, *arena, [&](const BlockRecords& records) { return bring(memory, place, copy, records); });
  return true;
}

bool TracedCopies::bring(const Memory& memory, const Place& place, const Traced& copy, const BlockRecords& records) {
  const auto shard = static_cast<std::uint32_t>(records.block / sizeof(wp_block) % WP_SHARDS);
  std::uint64_t last = 0;
  for (std::uint64_t n = records.first; n < records.first + records.cnt; n++) {
    const std::uint64_t counter = records.ring[n % WP_RING_RECORDS].counter & WP_REF_ADDRESS;
    if (counter == last) continue;
    last = counter;
    if (!introduced_.contains({copy.incarnation, counter, shard})) {
      introduce(memory, place, copy, {copy.incarnation, counter, shard, 0});
    }
  }
  return program_->claim({copy.incarnation, records.block}, records.first, records.cnt, records.ring);
}

void TracedCopies::introduce(const Memory& memory, const Place& place, const Traced& copy, const wp_series_key& key) {
  const auto name = read_counter(memory, key.counter);
  if (!name) return;
  wp_introduction introduction = {};
  introduction.key = key;
  wp_series_info& info = introduction.info;
  info.process_start_ticks = copy.process_start_ticks;
  info.distinct = wp_distinct(key.incarnation, name->id);
  info.pid = place.first;
  info.key_len = name->key_len;
  std::copy_n(copy.comm.data(), std::min<std::size_t>(copy.comm.size(), sizeof info.comm - 1), info.comm);
  std::copy_n(name->key.data(), name->key.size(), info.key);
  if (!program_->introduce(introduction)) return;
  if (introduced_.size() >= most_introduced) introduced_.clear();
  introduced_.insert({key.incarnation, key.counter, key.shard});
}

// Takes blocks of ended processes out of the kernel's table before it is full.
void TracedCopies::make_room() {
  if (ended_.empty() || program_->block_cnt() < WP_BLOCKS_MAX / 4) return;
  program_->forget_blocks([&](std::uint64_t incarnation) { return ended_.contains(incarnation); });
  ended_.clear();
}

void TracedCopies::add_to(Snapshot& snapshot) const {
  snapshot.losses.reentered += sum_.reentered;
  snapshot.losses.late += sum_.late;
  snapshot.losses.no_memory += no_memory_;
  snapshot.clamped_cnt += sum_.clamped;
}

}  // namespace waitprobe
