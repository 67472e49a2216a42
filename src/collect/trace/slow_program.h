// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bpf/slow_abi.h"
#include "src/collect/machine/tracepoints.h"
#include "src/collect/trace/attachments.h"
#include "src/collect/trace/process_filter.h"
#include "src/model/result.h"
#include "src/model/snapshot.h"

struct ring_buffer;
struct slow_bpf;

namespace waitprobe {

// The BPF programs of bpf/slow.bpf.c, loaded. Attached to no probe yet: class Attachments does that.
//
// Threads: one at a time.
class SlowProgram {
 public:
  // Waits of at least `min_ns` are told of; with `stacks`, a copy of their stack as well. Errors: a right or a kernel feature
  // is missing.
  static Result<SlowProgram> load(const wp_config& config, std::uint64_t min_ns, bool stacks);

  // The one program, and the probe with the greatest threshold that is not above `min_ns`: shorter waits do not trap.
  std::vector<ProbeProgram> probe_programs() const;

  ProcessFilter& processes() { return processes_; }
  std::span<TracepointLink> tracepoints() { return links_; }

  // Readable when there are waits. take() hands over the next of them, as many as there are but not so many that it would not
  // come back while they come fast; stack_bytes bytes follow each. Returns whether there were any. Lifetime: until `show`
  // returns.
  int fd() const;
  bool take(const std::function<void(const wp_slow_wait&, const std::uint8_t* stack)>& show);

  Losses losses() const;

 private:
  struct DestroySkeleton {
    void operator()(slow_bpf* skeleton) const;
  };
  struct FreeRing {
    void operator()(ring_buffer* ring) const;
  };
  struct Taker {
    std::function<void(const wp_slow_wait&, const std::uint8_t*)> show;
    std::size_t taken_cnt = 0;
  };

  static int on_wait(void* taker, void* data, std::size_t size);

  std::unique_ptr<slow_bpf, DestroySkeleton> skeleton_;
  std::vector<TracepointLink> links_;
  ProcessFilter processes_;
  std::unique_ptr<ring_buffer, FreeRing> waits_;
  std::unique_ptr<Taker> taker_ = std::make_unique<Taker>();  // owned, so that its address survives a move
  std::uint64_t min_ns_ = 0;
};

}  // namespace waitprobe
