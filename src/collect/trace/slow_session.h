// SPDX-License-Identifier: MIT
//
// From a choice of targets to each of their waits that took long.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "src/collect/trace/slow_program.h"
#include "src/collect/stacks/symbolizer.h"
#include "src/collect/trace/target_session.h"
#include "src/collect/trace/traced_instances.h"
#include "src/model/result.h"
#include "src/model/slow_wait.h"

namespace waitprobe {

// Lifetime: destroying it detaches. Threads: one at a time.
class SlowSession : private Tracer {
 public:
  // Attaches to everything there is to attach to. `stop_signals` is a signalfd, or -1. Errors: see bpf/, and the target.
  static Result<std::unique_ptr<SlowSession>> open(const TargetChoice& choice, std::uint64_t min_ns, bool stacks,
                                                   int stop_signals);

  // Whose waits; to be run, which ends with `woken` when there are waits.
  TargetSession& targets() { return *targets_; }

  // Those that have come since the last call, in the order in which the kernel told of them.
  std::vector<SlowWait> take_waits();

  // Ends it: all waits that were told of can be taken, and no more come. targets() can still be run, to serve
  // the command.
  void detach();

  // Those of the kernel as they are now; what the library of a process has counted as it was within the last second, or, of one
  // that has ended, at the last look.
  Losses losses();

 private:
  SlowSession(SlowProgram program, bool stacks);

  std::vector<ProbeProgram> probe_programs() const override { return program_.probe_programs(); }
  ProcessFilter& processes() override { return program_.processes(); }
  std::span<TracepointLink> tracepoints() override { return program_.tracepoints(); }
  void on_instance(const LibraryInstance& instance, bool is_new) override;
  int fd() const override { return program_.fd(); }
  bool serve() override;

  void add(const wp_slow_wait& wait, const std::uint8_t* stack);
  bool is_repeated(const wp_slow_wait& wait);

  struct LastWait {
    std::uint64_t wait_id = 0;
    std::uint64_t stop_ns = 0;
  };

  SlowProgram program_;
  bool stacks_;
  TracedInstances instances_;
  std::uint64_t next_look_ns_ = 0;
  std::uint64_t offset_ns_ = 0;  // of our CLOCK_MONOTONIC from the machine's
  Symbolizer symbolizer_;
  std::vector<SlowWait> waits_;                       // not taken yet
  std::unordered_map<std::uint32_t, LastWait> last_;  // by thread
  std::unique_ptr<TargetSession> targets_;            // last: it uses the others until it has gone
};

}  // namespace waitprobe
