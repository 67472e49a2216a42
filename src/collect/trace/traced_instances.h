// SPDX-License-Identifier: MIT
//
// The instances of the library in the processes that are traced: what their blocks hold is brought to the kernel, and what they
// say they had to give up is added up.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/collect/process/block_reader.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/trace/hist_program.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// Threads: one at a time. Lifetime: the program must outlive it.
class TracedInstances {
 public:
  // `by_batches`: the blocks are read; otherwise losses alone.
  TracedInstances(HistProgram& program, bool by_batches) : program_(&program), by_batches_(by_batches) {}
  // Losses alone, of one that has ended those of the last look.
  TracedInstances() : program_(nullptr), by_batches_(false) {}

  // Adds an instance, unless it is known. `is_new` says that it has begun since the session did, so that all it has lost is
  // ours.
  void add(const LibraryInstance& instance, bool is_new);

  // Calls visit(pid, address of the root) for each.
  void each(const std::function<void(std::uint32_t, std::uint64_t)>& visit) const {
    for (const auto& [place, traced] : instances_) visit(place.first, place.second);
  }

  // Whether the instance that calls itself so is known.
  bool knows(std::uint64_t incarnation) const { return incarnations_.contains(incarnation); }

  // One that was discovered, and is not there now that its process has been looked at.
  void lose_sight(std::uint32_t pid, std::uint64_t incarnation);

  // Looks at all instances, and drops those of processes that have ended. Returns whether all records were brought that their
  // threads had not flushed. In the last look, those that cannot be brought are counted as lost.
  bool look(bool last = false);

  // Takes the counts of ended processes from the kernel, and where its tables fill up, gives back what belongs to processes and
  // instances that have ended. To be called now and then.
  void make_room();

  // Processes of which not all blocks were looked at: pid, name.
  const std::map<std::uint32_t, std::string>& crowded_processes() const { return crowded_processes_; }

  // Losses, and what else the instances count.
  void add_to(Snapshot& snapshot) const;

 private:
  struct Counts {
    std::uint64_t reentered = 0;
    std::uint64_t late = 0;
    std::uint64_t clamped = 0;
    std::uint64_t abandoned = 0;
    std::uint64_t stale = 0;
    std::uint64_t no_memory = 0;
  };
  struct CountRow {
    std::uint64_t Counts::*count;
    __u64 wp_arena::*from;
    std::uint64_t Losses::*loss;    // or null
    std::uint64_t Snapshot::*note;  // where it is no loss
  };
  static constexpr CountRow all_counts[] = {
      {&Counts::reentered, &wp_arena::lost_reentered, &Losses::reentered, nullptr},
      {&Counts::late, &wp_arena::lost_late, &Losses::late, nullptr},
      {&Counts::clamped, &wp_arena::clamped_cnt, nullptr, &Snapshot::clamped_cnt},
      {&Counts::abandoned, &wp_arena::abandoned_cnt, nullptr, &Snapshot::abandoned_cnt},
      {&Counts::stale, &wp_arena::lost_stale, &Losses::stale, nullptr},
      {&Counts::no_memory, &wp_arena::lost_memory, &Losses::no_memory, nullptr},
  };
  static_assert(sizeof(Counts) == std::size(all_counts) * sizeof(std::uint64_t), "a count is missing above");
  static constexpr std::size_t other_arena_fields = 5;  // incarnation, block_cnt, suspect_cnt, searched, long_rings
  static_assert(sizeof(wp_arena) == (std::size(all_counts) + other_arena_fields) * sizeof(__u64), "a count is missing above");

  // Whose records a block has.
  struct Owner {
    std::uint64_t incarnation = 0;  // 0: it has not waited yet
    std::uint32_t pid = 0;
    std::string comm;  // of the process
    std::uint64_t process_start_ticks = 0;
  };
  struct LastRecords {
    Owner owner;
    BlockRecords shown;  // of these two
    std::vector<wp_record> records;
    std::vector<wp_trace_id> traces;
    std::uint64_t offset_ns;
  };
  struct Traced {
    Owner owner;
    std::uint64_t no_memory = 0;  // counted while there was no arena
    BlockReader blocks;
  };

  using Place = std::pair<std::uint32_t, std::uint64_t>;  // pid, address of the root

  static Counts counts_of(const wp_arena& arena) {
    Counts counts;
    for (const CountRow& row : all_counts) counts.*row.count = arena.*row.from;
    return counts;
  }
  bool is_full(std::uint32_t pid) const;
  void remember_owners(const Memory& memory, std::uint32_t pid, const wp_root& root, const wp_arena& arena);
  bool look_at(const Place& place, Traced& instance, bool last, std::uint64_t& blocks_left, bool& all_brought);
  void read_blocks(const Memory& memory, const wp_root& root, const wp_arena& arena, const Place& place, Traced& instance,
                   bool last, std::uint64_t& blocks_left, bool& all_brought);
  void become(Traced& instance, const Place& place, const wp_root& root, const wp_arena& arena, const Counts& base);
  void end(const Traced& instance);
  void close(std::uint32_t pid, const Traced& instance);
  void take_closed();
  void count(const wp_arena& arena);
  void count_last();
  std::uint64_t bring(const Memory& memory, const Owner& owner, const BlockRecords& records);
  std::optional<std::uint64_t> prepare(const Memory& memory, const Owner& owner, const BlockRecords& records);
  void introduce(const Memory& memory, const Owner& owner, const wp_series_key& key);
  std::optional<bool> has_ended(std::uint64_t incarnation) const;

  HistProgram* program_;  // null: nobody keeps what ended processes have counted
  bool by_batches_;
  std::map<Place, Traced> instances_;
  std::set<std::uint64_t> incarnations_;
  std::map<std::uint64_t, std::uint32_t> closing_;  // incarnation, pid: closed, perhaps with records that nobody has taken
  std::set<std::uint64_t> ended_;                   // whose blocks may still be known to the kernel
  std::map<std::uint64_t, Counts> counts_;          // by incarnation: what is in the sum already, or not ours
  Counts sum_;
  std::uint64_t gap_ = 0;
  std::map<std::uint32_t, std::string> crowded_processes_;
};

}  // namespace waitprobe
