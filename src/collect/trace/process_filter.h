// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "bpf/abi.h"
#include "src/collect/process/target_choice.h"
#include "src/model/result.h"

struct bpf_map;
struct ring_buffer;

namespace waitprobe {

// How a BPF object decides which processes count.
wp_config config_of(const TargetChoice& choice);

// Which processes count, as a BPF object that includes bpf/targets.h decides it, and what that tells of processes.
//
// Threads: one at a time. Lifetime: the maps must outlive it.
class ProcessFilter {
 public:
  // `discoveries`: null where there are none. `filters`: only targets count; otherwise every process does.
  static Result<ProcessFilter> open(const bpf_map* targets, const bpf_map* discoveries, bool filters);

  // REQUIRES: it filters.
  Result<void> add_target(std::uint32_t pid);
  void remove_target(std::uint32_t pid);
  bool is_target(std::uint32_t pid) const;
  // Those that have not ended. None where it does not filter.
  std::vector<std::uint32_t> targets() const;

  bool filters() const { return filters_; }

  // Readable when there are processes to look at, which take_discoveries() hands over; -1: never.
  int discoveries_fd() const;
  void take_discoveries(const std::function<void(const wp_discovery&)>& look);

 private:
  struct FreeRing {
    void operator()(ring_buffer* ring) const;
  };

  using Taker = std::function<void(const wp_discovery&)>;

  static int on_discovery(void* taker, void* data, std::size_t size);

  int targets_fd_ = -1;
  bool filters_ = false;
  std::unique_ptr<ring_buffer, FreeRing> discoveries_;
  std::unique_ptr<Taker> taker_ = std::make_unique<Taker>();  // owned, so that its address survives a move
};

}  // namespace waitprobe
