// SPDX-License-Identifier: MIT
//
// What is waited for right now, read from the memory of living processes. Needs no BPF, and stops nobody unless stacks are
// wanted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/collect/stuck/arming.h"
#include "src/collect/stuck/idle_pools.h"
#include "src/collect/stuck/unguarded_sleepers.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/process/open_slots.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/stacks/symbolizer.h"
#include "src/collect/process/target_choice.h"
#include "src/collect/process/thread_info.h"
#include "src/model/key_class.h"
#include "src/model/open_wait.h"
#include "src/model/result.h"

namespace waitprobe {

struct StuckOptions {
  std::uint64_t older_ns = 1'000'000'000;
  std::vector<std::string> key_globs;  // only these keys; empty: all
  ClassGlobs class_globs;
  bool stacks = false;
  std::string group_by;  // an environment variable; empty: no groups
};

// Fills in what its counter says of a wait: the key, its class, and whether that is meant to last.
void describe_key(OpenWait& wait, const CounterName& name, const StuckOptions& options);

// Calls add_stack(wait) for the oldest stuck wait of each thread. The others are marked as of the same thread as above, or of one
// that has ended.
void each_stuck_thread(OpenWaits& found, const std::function<void(OpenWait& oldest)>& add_stack);

// Calls add_stack(pid, holder) for the direct holder of each mutex that is waited for, once each, and not where its stack is that
// of a wait.
void each_holder_apart(OpenWaits& found, const std::function<void(std::uint32_t pid, LockHolder& holder)>& add_stack);

// Threads: one at a time.
class StuckSession {
 public:
  // Errors: the file that was chosen carries no probes. REQUIRES: the choice is no command.
  static Result<StuckSession> open(const TargetChoice& choice, const StuckOptions& options);

  // With an arming, what is looked at and does not track its own waits is armed. Errors: as InstanceFinder::find_all().
  Result<OpenWaits> look(Arming* arming);

 private:
  // A wait and where it is.
  struct Found {
    const LibraryInstance* instance;
    OpenSlot slot;
    bool is_of_only_block = false;  // its thread has no other block, in no instance; false where not all are known
  };

  struct Process {
    std::string comm;
    std::map<std::uint32_t, std::uint32_t> threads;            // as it calls them, and as we do
    std::map<std::uint32_t, std::optional<ThreadInfo>> infos;  // by our numbers
    std::optional<std::uint64_t> ahead_ns;                     // of its CLOCK_MONOTONIC from ours, where that is known
    std::uint64_t start_ticks = 0;                             // 0: not known
  };
  using Processes = std::map<std::uint32_t, Process>;

  // By thread, as we call it: its open wait that began last, and when.
  using Innermost = std::map<std::uint32_t, std::pair<std::uint64_t, const Found*>>;

  StuckSession(TargetChoice choice, StuckOptions options) : choice_(std::move(choice)), options_(std::move(options)) {}

  std::vector<Found> find_slots(const std::vector<LibraryInstance>& instances, Arming* arming, OpenWaits& to) const;
  static Process& process_of(std::uint32_t pid, Processes& processes);
  std::optional<OpenWait> describe(const Found& found, std::optional<std::uint64_t> age_ns, Process& process) const;
  static void ask_kernel(OpenWait& wait, Process& process);
  static Innermost innermost_of(const std::vector<Found>& all, const SlotClock& clock, Processes& processes);
  static void add_holders(const Innermost& innermost, Processes& processes, OpenWaits& to);
  static ThreadInWait evidence_of(const Found& found, const OpenWait& wait, const Process& process);
  void add_groups(const std::vector<LibraryInstance>& instances, OpenWaits& to) const;
  void add_stack(std::uint32_t pid, std::uint32_t tid, Stack& stack, std::string& no_stack_reason, OpenWaits& to);
  void add_stacks(OpenWaits& to);
  void stop_and_add_stacks(OpenWaits& to);

  TargetChoice choice_;
  StuckOptions options_;
  std::optional<FileId> only_file_;  // of -f
  InstanceFinder finder_;
  Symbolizer symbolizer_;
};

}  // namespace waitprobe
