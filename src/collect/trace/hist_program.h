// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "bpf/tool_abi.h"
#include "src/collect/process/block_reader.h"
#include "src/collect/trace/attachments.h"
#include "src/collect/machine/tracepoints.h"
#include "src/collect/trace/leases.h"
#include "src/collect/trace/process_filter.h"
#include "src/collect/trace/series_pool.h"
#include "src/collect/machine/tick_rate.h"
#include "src/model/result.h"
#include "src/model/snapshot.h"
#include "src/model/wait_exemplar.h"

struct bpf_map;
struct hist_bpf;

namespace waitprobe {

// How waits come to the kernel: many with one hit of a probe, or one with each.
enum class Transport { batches, events };

// The BPF programs of bpf/hist.bpf.c, loaded, and their maps. Attached to no probe yet: class Attachments does that.
//
// Threads: one at a time.
class HistProgram {
 public:
  // Loads the programs of one transport and starts to follow processes as `config` says. Nothing counts before count_from().
  // Errors: a right or a kernel feature is missing.
  static Result<HistProgram> load(const wp_config& config, Transport transport);

  // The programs of the transport, and the probes that they belong on.
  std::vector<ProbeProgram> probe_programs() const;

  ProcessFilter& processes() { return processes_; }
  std::span<TracepointLink> tracepoints() { return links_; }

  // What counts: waits that stop at or after `since`, and before `until`. Both are moments to come, so that no program that has
  // looked before can have passed over a wait that counts. The pair is near them.
  void count_from(std::uint64_t since_ns, const ClockPair& now, const TickRate& rate);
  void count_until(std::uint64_t until_ns, const ClockPair& now, const TickRate& rate);
  // REQUIRES: the shift is that of count_from().
  void set_rate(const TickRate& rate);

  // Counts records of a block that the tool has read: those that nobody else has brought. Returns how many
  // of them are counted now. Before the others, earlier ones are still to come from their thread; these have to be read again.
  // `offset_ns` is that of the CLOCK_MONOTONIC of their process `pid` from the machine's. REQUIRES: their series are introduced.
  std::uint64_t claim(std::uint64_t incarnation, std::uint32_t pid, const BlockRecords& records, std::uint64_t offset_ns);
  // Says whose records are going to be claimed, before each claim: what is introduced does not remain so for ever.
  bool is_introduced(const wp_series_key& key) const { return series_.is_introduced(key); }
  void introduce(const wp_series_info& info);
  // Says whose last records a block will hold when its thread dies: for blocks that were taken before we listened. `tid` is
  // ours for the thread that the block names in its own pid namespace.
  void remember_owner(std::uint32_t tid, const wp_owned_block& owned);
  // Says that a process has this instance of the library: for those that had waited before we listened.
  void remember_arena(std::uint32_t pid, const wp_known_arena& arena);
  // What instances of the library had counted when one of their threads ended, of those where that was anything, since this was
  // called last.
  std::vector<wp_arena> take_last_arenas();

  // What was known of an instance of the library that has been closed while its process goes on.
  struct Closed {
    std::uint64_t arena = 0;         // its address; 0: not known
    std::set<std::uint64_t> blocks;  // theirs, of threads that have not ended
  };
  // Fills it in for each, by its incarnation.
  void find_closed(std::map<std::uint64_t, Closed>& closed) const;
  // When this returns, no program brings records of them any more, and the tool can claim those that it has read. Takes some tens
  // of milliseconds.
  void forget_closed(const std::map<std::uint64_t, Closed>& closed);

  std::uint64_t untold_cnt() const;

  // Whether it is time to call make_room().
  bool is_crowded() const { return series_.is_crowded() || states_.is_crowded(); }
  // Gives back what is not used any more: histograms of series that had no waits of late or whose process has ended, blocks of
  // processes and of instances that have ended, and whatever was known of them. `has_ended`: nothing where it is not known.
  // Takes some tens of milliseconds.
  void make_room(const std::function<std::optional<bool>(std::uint64_t incarnation)>& has_ended);
  // See SeriesPool.
  void keep_ended(std::size_t most) { series_.keep_ended(most); }
  void add_up_ended(const std::function<std::optional<std::string>(const Series&)>& group_of) {
    series_.add_up_ended(group_of);
  }
  std::uint64_t added_up_cnt() const { return series_.added_up_cnt(); }

  // REQUIRES: exemplars are kept (wp_config). The pair and the rate are those of a moment that is near.
  std::vector<WaitExemplar> take_exemplars(const ClockPair& now, const TickRate& rate);

  // The running totals, as they are at this moment, in the order of merge_series().
  std::vector<Series> series() { return series_.series(); }
  Losses losses() const;
  std::uint64_t run_time_ns() const;

 private:
  struct DestroySkeleton {
    void operator()(hist_bpf* skeleton) const;
  };
  struct Unmap {
    std::size_t bytes;
    void operator()(void* memory) const;
  };
  using Rings = std::unique_ptr<wp_ring[], Unmap>;

  std::vector<std::uint32_t> end_states(const std::function<std::optional<bool>(std::uint64_t)>& has_ended);
  void forget_dead();

  static Result<Rings> map_rings(const bpf_map* map);

  std::unique_ptr<hist_bpf, DestroySkeleton> skeleton_;
  std::vector<TracepointLink> links_;
  ProcessFilter processes_;
  Transport transport_ = Transport::batches;
  std::uint64_t offset_ns_ = 0;  // of our CLOCK_MONOTONIC from the machine's
  SeriesPool series_;
  Leases states_;  // of blocks
  RunningPrograms running_;
  Rings rings_;
};

}  // namespace waitprobe
