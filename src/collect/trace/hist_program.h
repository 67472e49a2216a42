// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "bpf/abi.h"
#include "src/collect/trace/attachments.h"
#include "src/collect/machine/tracepoints.h"
#include "src/collect/trace/process_filter.h"
#include "src/collect/machine/tick_rate.h"
#include "src/model/result.h"
#include "src/model/snapshot.h"

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

  // Counts records of a block that the tool has read, from number `first` on: those that nobody else has brought. Returns how many
  // of them are counted now. Before the others, earlier ones are still to come from their thread; these have to be read again.
  // `offset_ns` is that of their process's CLOCK_MONOTONIC from the machine's.
  std::uint64_t claim(const wp_block_key& key, std::uint64_t first, std::span<const wp_record> records,
                      std::uint64_t offset_ns);
  // Says whose records are going to be claimed. False when there is no room for the series.
  bool introduce(const wp_introduction& introduction);
  // Says whose last records a block will hold when its thread dies: for blocks that were taken before we listened. `tid` is
  // ours for the thread that the block names in its own pid namespace.
  void remember_owner(std::uint32_t tid, const wp_owned_block& owned);
  // Says that a process has this instance of the library: for those that had waited before we listened.
  void remember_arena(std::uint32_t pid, const wp_known_arena& arena);
  // What instances of the library had counted when one of their threads ended, of those where that was anything, since this was
  // called last.
  std::vector<wp_arena> take_last_arenas();

  std::uint64_t block_cnt() const;
  std::uint64_t untold_cnt() const;
  void forget_blocks(const std::function<bool(std::uint64_t incarnation)>& has_ended);

  // The running totals, as they are at this moment, in the order of merge_series().
  std::vector<Series> series();
  Losses losses() const;

 private:
  struct DestroySkeleton {
    void operator()(hist_bpf* skeleton) const;
  };
  struct Unmap {
    std::size_t bytes;
    void operator()(void* memory) const;
  };
  using Rings = std::unique_ptr<wp_ring[], Unmap>;

  void read_totals(std::uint32_t first, std::uint32_t cnt);
  static constexpr std::size_t not_ranked = SIZE_MAX;
  struct KnownSeries {
    Series identity;                // without waits
    std::size_t rank = not_ranked;  // its place among all
  };
  KnownSeries& series_of(std::uint32_t slot);
  void put_in_order(std::vector<Series>& all);

  static Result<Rings> map_rings(const bpf_map* map);

  std::unique_ptr<hist_bpf, DestroySkeleton> skeleton_;
  std::vector<TracepointLink> links_;
  ProcessFilter processes_;
  Transport transport_ = Transport::batches;
  std::uint64_t offset_ns_ = 0;               // of our CLOCK_MONOTONIC from the machine's
  std::vector<wp_hist> totals_;               // those that read_totals() has read
  std::vector<KnownSeries*> series_of_slot_;  // null: not seen yet
  // In the order of merge_series(), which is that of these keys.
  std::map<std::tuple<std::uint64_t, std::uint32_t, std::string, std::uint64_t, std::uint64_t>, KnownSeries> known_series_;
  bool are_ranked_ = true;
  Rings rings_;
};

}  // namespace waitprobe
