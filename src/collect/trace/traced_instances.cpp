// SPDX-License-Identifier: MIT
#include "src/collect/trace/traced_instances.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "src/collect/process/process.h"
#include "src/collect/process/time_namespace.h"

namespace waitprobe {
namespace {

// A process that gives itself another incarnation, or shows the root at other places, at each look.
constexpr std::size_t most_ended = 4 * WP_BLOCKS_MAX, most_instances = 512, most_counts = 4 * WP_LAST_ARENAS;
constexpr std::size_t most_crowded = 4096;  // more are dropped: that there are such processes is known by then

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
  if (!arena || arena->incarnation == traced.owner.incarnation) return;
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
  close(place.first, instance);
  instance.owner = {arena.incarnation, place.first, comm_of(place.first), start_ticks_of(place.first)};
  counts_.try_emplace(arena.incarnation, base);
  if (program_ != nullptr) program_->remember_arena(place.first, {arena.incarnation, root.arena});
  instance.blocks = BlockReader();
  incarnations_.insert(arena.incarnation);
  ended_.erase(arena.incarnation);
}

void TracedInstances::end(const Traced& instance) {
  if (instance.owner.incarnation == 0) return;
  incarnations_.erase(instance.owner.incarnation);
  ended_.insert(instance.owner.incarnation);
}

// It has been closed, or its process has ended or become another program.
void TracedInstances::close(std::uint32_t pid, const Traced& instance) {
  end(instance);
  if (instance.owner.incarnation != 0 && program_ != nullptr && has_memory(pid)) closing_[instance.owner.incarnation] = pid;
}

// Closed, unless an instance that cannot be read is the one.
void TracedInstances::lose_sight(std::uint32_t pid, std::uint64_t incarnation) {
  if (!has_memory(pid)) {
    ended_.insert(incarnation);
    return;
  }
  const ProcessMemory memory(pid);
  for (auto entry = instances_.lower_bound({pid, 0}); entry != instances_.end() && entry->first.first == pid; ++entry) {
    const auto root = read_root(memory, entry->first.second);
    wp_arena arena = {};
    if (!root || root->arena == 0) continue;
    if (!memory.read(root->arena, &arena, sizeof arena) || arena.incarnation == incarnation) return;
  }
  closing_[incarnation] = pid;
}

// Its code has gone, and the memory of its blocks has not: the records there are taken once nobody else can bring them, and its
// threads have room for the blocks of other instances. Read first: when its threads have been forgotten, nobody brings them if
// the process ends.
void TracedInstances::take_closed() {
  if (closing_.empty()) return;
  std::map<std::uint64_t, HistProgram::Closed> closed;
  for (const auto& [incarnation, pid] : closing_) closed[incarnation] = {};
  program_->find_closed(closed);
  BlockReader reader;
  std::vector<LastRecords> last;
  for (const auto& [incarnation, of] : closed) {
    const std::uint32_t pid = closing_[incarnation];
    const ProcessMemory memory(pid);
    wp_arena arena;
    if (of.arena == 0 || !memory.read(of.arena, &arena, sizeof arena) || arena.incarnation != incarnation) continue;
    count(arena);
    const Owner owner = {incarnation, pid, comm_of(pid), start_ticks_of(pid)};
    for (const std::uint64_t block : of.blocks) {
      const auto records = by_batches_ ? reader.read_one(memory, arena, block) : std::nullopt;
      const auto offset_ns = records ? prepare(memory, owner, *records) : std::nullopt;
      if (!offset_ns) continue;
      LastRecords& kept = last.emplace_back();
      kept = {owner, *records, {records->records.begin(), records->records.end()}, {}, *offset_ns};
      kept.traces.assign(records->traces.begin(), records->traces.end());
      kept.shown.records = kept.records;
      kept.shown.traces = kept.traces;
    }
  }
  program_->forget_closed(closed);
  for (const LastRecords& of : last) {
    gap_ += of.records.size() - program_->claim(of.owner.incarnation, of.owner.pid, of.shown, of.offset_ns);
  }
  for (const auto& [incarnation, pid] : closing_) ended_.insert(incarnation);
  closing_.clear();
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
      close(entry->first.first, entry->second);
      entry = instances_.erase(entry);
    }
  }
  take_closed();
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
  if (arena->incarnation != instance.owner.incarnation) become(instance, place, *root, *arena, {});
  count(*arena);
  if (by_batches_) read_blocks(memory, *root, *arena, place, instance, last, blocks_left, all_brought);
  return true;
}

void TracedInstances::read_blocks(const Memory& memory, const wp_root& root, const wp_arena& arena, const Place& place,
                                  Traced& instance, bool last, std::uint64_t& blocks_left, bool& all_brought) {
  const BlockLook look = instance.blocks.read(memory, root, arena, blocks_left, [&](const BlockRecords& records) {
    const std::uint64_t brought = bring(memory, instance.owner, records);
    if (last) gap_ += records.records.size() - brought;
    return brought == records.records.size();
  });
  blocks_left -= look.read_cnt;
  all_brought &= look.all_taken;
  if (last) gap_ += look.left;
  if (!look.all_read && crowded_processes_.size() < most_crowded)
    crowded_processes_.insert_or_assign(place.first, instance.owner.comm);
}

// Returns how many of the records were brought, by us or others.
std::uint64_t TracedInstances::bring(const Memory& memory, const Owner& owner, const BlockRecords& records) {
  const auto offset_ns = prepare(memory, owner, records);
  if (!offset_ns) return 0;
  return program_->claim(owner.incarnation, owner.pid, records, *offset_ns);
}

// Introduces their series. Returns the offset of the process's clock: it is read after the records, since what was written before
// a move to another namespace is brought at the move. Nothing: it has ended.
std::optional<std::uint64_t> TracedInstances::prepare(const Memory& memory, const Owner& owner, const BlockRecords& records) {
  const auto shard = static_cast<std::uint32_t>(records.block / sizeof(wp_block) % WP_SHARDS);
  std::uint64_t last = 0;
  for (const wp_record& record : records.records) {
    const std::uint64_t counter = record.counter & WP_REF_ADDRESS;
    if (counter == last) continue;
    last = counter;
    const wp_series_key key = {owner.incarnation, counter, shard, 0};
    if (!program_->is_introduced(key)) introduce(memory, owner, key);
  }
  const auto offsets = time_offsets_of(owner.pid);
  return offsets ? std::optional(offsets->monotonic_ns) : std::nullopt;
}

void TracedInstances::introduce(const Memory& memory, const Owner& owner, const wp_series_key& key) {
  const auto name = read_counter(memory, key.counter);
  if (!name) return;
  wp_series_info info = {};
  info.series = key;
  info.process_start_ticks = owner.process_start_ticks;
  info.distinct = wp_distinct(key.incarnation, name->id);
  info.pid = owner.pid;
  info.key_len = name->key_len;
  info.flags = name->flags;
  std::copy_n(owner.comm.data(), std::min<std::size_t>(owner.comm.size(), sizeof info.comm - 1), info.comm);
  std::copy_n(name->key.data(), name->key.size(), info.key);
  program_->introduce(info);
}

std::optional<bool> TracedInstances::has_ended(std::uint64_t incarnation) const {
  if (incarnations_.contains(incarnation)) return false;
  return ended_.contains(incarnation) ? std::optional(true) : std::nullopt;
}

void TracedInstances::make_room() {
  take_closed();
  count_last();
  if (program_ == nullptr) return ended_.clear();
  if (!program_->is_crowded() && ended_.size() < most_ended) return;
  look();
  program_->make_room([this](std::uint64_t incarnation) { return has_ended(incarnation); });
  ended_.clear();
}

void TracedInstances::add_to(Snapshot& snapshot) const {
  for (const CountRow& row : all_counts) {
    (row.loss != nullptr ? snapshot.losses.*row.loss : snapshot.*row.note) += sum_.*row.count;
  }
  snapshot.losses.gap += gap_;
}

}  // namespace waitprobe
