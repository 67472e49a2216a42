// SPDX-License-Identifier: MIT
#include "src/collect/trace/traced_instances.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "src/collect/process/process.h"
#include "src/collect/process/time_namespace.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_introduced = 4 * WP_POOL_SIZE;  // remembered; then forgotten, and introduced again
// A process that gives itself another incarnation, or shows the root at other places, at each look.
constexpr std::size_t most_ended = 4 * WP_BLOCKS_MAX, most_instances = 512, most_counts = 4 * WP_LAST_ARENAS;

}  // namespace

void TracedInstances::add(const LibraryInstance& instance, bool is_new) {
  const Place place{instance.pid, instance.root_address};
  const ProcessMemory memory(instance.pid);
  const auto root = read_root(memory, instance.root_address);
  if (!root || (!instances_.contains(place) && is_full(instance.pid))) return;
  const auto [entry, is_fresh] = instances_.try_emplace(place);
  Traced& traced = entry->second;
  if (is_fresh) traced.no_memory = is_new ? 0 : root->lost_memory;
  const auto arena = read_arena(memory, *root);
  if (!arena || arena->incarnation == traced.incarnation) return;
  // What an instance that we know has lost since it became another is ours as well.
  become(traced, place, *root, *arena, is_new || !is_fresh ? Counts{} : counts_of(*arena));
  if (by_batches_) remember_owners(memory, place.first, *root, *arena);
}

// Whether a process has shown more instances than there can be.
bool TracedInstances::is_full(std::uint32_t pid) const {
  const auto first = instances_.lower_bound({pid, 0}), last = instances_.upper_bound({pid, UINT64_MAX});
  return std::distance(first, last) >= static_cast<std::ptrdiff_t>(most_instances);
}

// Threads that have taken their blocks before we listened would die unnoticed.
void TracedInstances::remember_owners(const Memory& memory, std::uint32_t pid, const wp_root& root, const wp_arena& arena) {
  const auto threads = threads_of(pid);
  read_owners(memory, root, arena, [&](std::uint64_t block, std::uint32_t tid) {
    const auto thread = threads.find(tid);
    if (thread != threads.end()) program_->remember_owner(thread->second, {{arena.incarnation, block}, tid, 0});
  });
}

// From now on it is another program, or a fork, or has waited for the first time.
void TracedInstances::become(Traced& instance, const Place& place, const wp_root& root, const wp_arena& arena,
                             const Counts& base) {
  end(instance);
  instance.incarnation = arena.incarnation;
  counts_.try_emplace(arena.incarnation, base);
  if (program_ != nullptr) program_->remember_arena(place.first, {arena.incarnation, root.arena});
  instance.comm = comm_of(place.first);
  instance.process_start_ticks = start_ticks_of(place.first);
  instance.blocks = BlockReader();
  incarnations_.insert(arena.incarnation);
  ended_.erase(arena.incarnation);
}

void TracedInstances::end(const Traced& instance) {
  if (instance.incarnation == 0) return;
  incarnations_.erase(instance.incarnation);
  ended_.insert(instance.incarnation);
}

void TracedInstances::count(const wp_arena& arena) {
  Counts& known = counts_[arena.incarnation];
  const Counts now = counts_of(arena);
  for (const CountRow& row : all_counts) {
    const auto one = row.count;
    const std::uint64_t later = std::max(now.*one, known.*one);
    sum_.*one += later - known.*one;
    known.*one = later;
  }
}

// What an instance had counted when its last thread ended is known to the kernel alone.
void TracedInstances::count_last() {
  if (program_ != nullptr) {
    for (const wp_arena& arena : program_->take_last_arenas()) count(arena);
  }
  if (counts_.size() < most_counts + incarnations_.size()) return;
  std::erase_if(counts_, [&](const auto& known) { return !incarnations_.contains(known.first); });
}

bool TracedInstances::look(bool last) {
  bool all_brought = true;
  std::uint32_t pid = 0;
  std::uint64_t blocks_left = 0;  // of a process: one that lies must not take all our time
  for (auto entry = instances_.begin(); entry != instances_.end();) {
    if (std::exchange(pid, entry->first.first) != entry->first.first) blocks_left = most_blocks;
    if (look_at(entry->first, entry->second, last, blocks_left, all_brought)) {
      ++entry;
    } else {
      end(entry->second);
      entry = instances_.erase(entry);
    }
  }
  count_last();
  return all_brought;
}

// False when the process has ended, or has become one without this instance.
bool TracedInstances::look_at(const Place& place, Traced& instance, bool last, std::uint64_t& blocks_left, bool& all_brought) {
  const ProcessMemory memory(place.first);
  const auto root = read_root(memory, place.second);
  if (!root) return false;
  if (root->lost_memory > instance.no_memory) sum_.no_memory += root->lost_memory - instance.no_memory;
  instance.no_memory = root->lost_memory;
  const auto arena = read_arena(memory, *root);
  if (!arena) return true;
  if (arena->incarnation != instance.incarnation) become(instance, place, *root, *arena, {});
  count(*arena);
  if (by_batches_) read_blocks(memory, *root, *arena, place, instance, last, blocks_left, all_brought);
  return true;
}

void TracedInstances::read_blocks(const Memory& memory, const wp_root& root, const wp_arena& arena, const Place& place,
                                  Traced& instance, bool last, std::uint64_t& blocks_left, bool& all_brought) {
  const BlockLook look = instance.blocks.read(memory, root, arena, blocks_left, [&](const BlockRecords& records) {
    const std::uint64_t brought = bring(memory, place, instance, records);
    if (last) gap_ += records.records.size() - brought;
    return brought == records.records.size();
  });
  blocks_left -= look.read_cnt;
  all_brought &= look.all_taken;
  if (last) gap_ += look.left;
  if (!look.all_read) crowded_processes_.insert_or_assign(place.first, instance.comm);
}

// Returns how many of the records were brought, by us or others.
std::uint64_t TracedInstances::bring(const Memory& memory, const Place& place, const Traced& instance,
                                     const BlockRecords& records) {
  const auto shard = static_cast<std::uint32_t>(records.block / sizeof(wp_block) % WP_SHARDS);
  std::uint64_t last = 0;
  for (const wp_record& record : records.records) {
    const std::uint64_t counter = record.counter & WP_REF_ADDRESS;
    if (counter == last) continue;
    last = counter;
    if (!introduced_.contains({instance.incarnation, counter, shard})) {
      introduce(memory, place, instance, {instance.incarnation, counter, shard, 0});
    }
  }
  // Read after the records: what was written before a move to another namespace is brought at the move.
  const auto offsets = time_offsets_of(place.first);
  if (!offsets) return 0;
  return program_->claim({instance.incarnation, records.block}, records.first, records.records, offsets->monotonic_ns);
}

void TracedInstances::introduce(const Memory& memory, const Place& place, const Traced& instance, const wp_series_key& key) {
  const auto name = read_counter(memory, key.counter);
  if (!name) return;
  wp_introduction introduction = {};
  introduction.key = key;
  wp_series_info& info = introduction.info;
  info.process_start_ticks = instance.process_start_ticks;
  info.distinct = wp_distinct(key.incarnation, name->id);
  info.pid = place.first;
  info.key_len = name->key_len;
  info.flags = name->flags;
  std::copy_n(instance.comm.data(), std::min<std::size_t>(instance.comm.size(), sizeof info.comm - 1), info.comm);
  std::copy_n(name->key.data(), name->key.size(), info.key);
  if (!program_->introduce(introduction)) return;
  if (introduced_.size() >= most_introduced) introduced_.clear();
  introduced_.insert({key.incarnation, key.counter, key.shard});
}

void TracedInstances::make_room() {
  count_last();
  if (program_ == nullptr) return ended_.clear();
  if (program_->block_cnt() < crowded_ && ended_.size() < most_ended) return;
  look();
  program_->forget_blocks([&](std::uint64_t incarnation) { return ended_.contains(incarnation); });
  ended_.clear();
  crowded_ = std::max<std::uint64_t>(WP_BLOCKS_MAX / 4, program_->block_cnt() + WP_BLOCKS_MAX / 16);
}

void TracedInstances::add_to(Snapshot& snapshot) const {
  for (const CountRow& row : all_counts) {
    (row.loss != nullptr ? snapshot.losses.*row.loss : snapshot.*row.note) += sum_.*row.count;
  }
  snapshot.losses.gap += gap_;
}

}  // namespace waitprobe
