// SPDX-License-Identifier: MIT
#include <sys/syscall.h>

#include <algorithm>
#include <map>
#include <optional>

#include "src/collect/machine/clock.h"
#include "src/collect/stuck/core_file.h"
#include "src/collect/stacks/stopped_thread.h"
#include "src/collect/stuck/lock_holders.h"
#include "src/model/key_patterns.h"
#include "src/model/trace_id.h"

namespace waitprobe {
namespace {

// The futex that a thread slept for, as its registers tell. On arm64 they do not tell the system call from any other instruction.
std::optional<FutexWait> futex_of(const wp_regs& registers) {
#if defined(__x86_64__)
  constexpr std::size_t r10 = 7, dx = 12, si = 13, di = 14, orig_ax = 15;
  if (registers.reg[orig_ax] != SYS_futex) return std::nullopt;
  return futex_wait({registers.reg[di], registers.reg[si], registers.reg[dx], registers.reg[r10]});
#else
  static_cast<void>(registers);
  return std::nullopt;
#endif
}

// What is found first, and described when it is known when the dump was made.
struct Found {
  OpenSlot slot;
  CounterName name;
};

constexpr std::uint64_t slack_ns = 1'000'000'000;
constexpr std::uint64_t same_clock = 0;  // a dump does not tell the time namespace of its process

// When the dump was made, in nanoseconds of this machine's CLOCK_MONOTONIC: when the file was last written, unless that was
// before this machine was started, or before a wait in it began. Nothing when it is not known.
std::optional<std::uint64_t> made_ns(const CoreFile& core, const std::vector<Found>& all, const SlotClock& clock) {
  const std::uint64_t now = now_ns(), now_unix_ns = clock_ns(CLOCK_REALTIME);
  const std::uint64_t ago_ns = now_unix_ns > core.modified_unix_ns() ? now_unix_ns - core.modified_unix_ns() : 0;
  if (ago_ns >= now) return std::nullopt;
  const std::uint64_t made = now - ago_ns;
  for (const Found& found : all) {
    const auto start_ns = clock.start_ns(found.slot, same_clock);
    if (!start_ns || *start_ns > made + slack_ns) return std::nullopt;
  }
  return made;
}

// The greater the older, whatever the clock was.
std::uint64_t order_of(const OpenSlot& slot) { return UINT64_MAX - slot.start; }

OpenWait describe(const CoreFile& core, const Found& found, std::optional<std::uint64_t> age_ns, const StuckOptions& options) {
  OpenWait wait;
  wait.pid = core.pid();
  wait.comm = core.comm();
  describe_key(wait, found.name, options);
  wait.age_ns = age_ns;
  wait.order = order_of(found.slot);
  wait.wait_id = found.slot.wait_id;
  wait.trace_id = trace_id_text(found.slot.trace);
  return wait;
}

// A dump is of one moment, and its threads sleep.
class DumpedThreads : public LockThreads {
 public:
  explicit DumpedThreads(const CoreFile& core) {
    for (const CoreFile::Thread& thread : core.threads()) threads_.emplace(thread.tid, thread.registers);
  }

  std::optional<ThreadInfo> info(std::uint32_t tid) const override {
    const auto thread = threads_.find(tid);
    if (thread == threads_.end()) return std::nullopt;
    ThreadInfo info;
    info.futex = futex_of(thread->second);
    return info;
  }

  std::optional<std::uint64_t> sleep_of(std::uint32_t tid) const override {
    return threads_.contains(tid) ? std::optional<std::uint64_t>(0) : std::nullopt;
  }

  // As the process calls them: we call them the same.
  std::map<std::uint32_t, std::uint32_t> numbers() const {
    std::map<std::uint32_t, std::uint32_t> same;
    for (const auto& [tid, registers] : threads_) same.emplace(tid, tid);
    return same;
  }

 private:
  std::map<std::uint32_t, wp_regs> threads_;
};

void add_holders(const CoreFile& core, const std::vector<Found>& all, OpenWaits& to) {
  const DumpedThreads threads(core);
  const auto numbers = threads.numbers();
  const auto name_key = [&](LockHolder& holder) {
    std::uint64_t last_start = 0;
    for (const Found& found : all) {
      if (found.slot.owner_tid != holder.tid || found.slot.start < last_start) continue;
      last_start = found.slot.start;
      holder.key = found.name.key;
      holder.key_len = found.name.key_len;
    }
  };
  const LockHolders locks(core, threads, numbers, name_key);
  for (OpenWait& wait : to.waits) {
    const auto info = wait.tid != 0 && wait.lasting == Lasting::no ? threads.info(wait.tid) : std::nullopt;
    if (info) locks.add_to(wait, info->futex, to);
  }
}

std::vector<Found> find_waits(const CoreFile& core, const std::vector<std::uint64_t>& roots, OpenWaits& to) {
  std::vector<Found> all;
  bool is_tracked = true, are_all = true;
  for (const std::uint64_t address : roots) {
    const auto root = read_root(core, address);
    if (!root) continue;
    is_tracked &= root->armed.self != 0;
    const auto arena = read_arena(core, *root);
    if (!arena) continue;
    const OpenSlots open = read_open_slots(core, *root, *arena);
    are_all &= open.are_all;
    for (const OpenSlot& slot : open.slots) {
      auto name = read_counter(core, slot.counter);
      if (name) all.push_back({slot, std::move(*name)});
    }
  }
  if (!is_tracked) to.untracked.push_back({core.pid(), core.comm()});
  if (!are_all) to.crowded.push_back({core.pid(), core.comm()});
  return all;
}

Stack stack_of(const CoreFile& core, Symbolizer& symbolizer, std::uint32_t tid) {
  const auto& threads = core.threads();
  const auto thread = std::find_if(threads.begin(), threads.end(), [&](const auto& one) { return one.tid == tid; });
  if (thread == threads.end()) return {};
  StackSample sample;
  sample.registers = thread->registers;
  sample.stack_address = stack_pointer(sample.registers);
  sample.stack = read_stack(core, sample.stack_address);
  return symbolizer.stack_of(core.pid(), sample);
}

}  // namespace

Result<OpenWaits> read_open_waits(const std::string& core_path, const StuckOptions& options) {
  const auto core = CoreFile::open(core_path);
  if (!core) return core.error();
  const auto roots = core->find_roots();
  if (roots.empty()) {
    return Error{"find probes in", core_path, "no mapped file contains waitprobe's probes",
                 "link the program with libwaitprobe and put guards around its waits"};
  }
  OpenWaits to;
  to.core_file = core_path;
  to.older_ns = options.older_ns;
  to.is_of_some_keys = !options.key_globs.empty();
  to.time_unix_ns = core->modified_unix_ns();
  const auto all = find_waits(*core, roots, to);
  const SlotClock clock = SlotClock::measure();
  const auto made = made_ns(*core, all, clock);
  to.ages_are_known = made.has_value();
  for (const Found& found : all) {
    if (!is_wanted(found.name.key, options.key_globs)) continue;
    std::optional<std::uint64_t> age_ns;
    if (made) age_ns = *made - std::min(*made, clock.start_ns(found.slot, same_clock).value_or(*made));
    if (age_ns && *age_ns < options.older_ns) {
      to.younger_cnt++;
      continue;
    }
    OpenWait wait = describe(*core, found, age_ns, options);
    const auto owns = [&](const CoreFile::Thread& thread) { return thread.tid == found.slot.owner_tid; };
    if (std::any_of(core->threads().begin(), core->threads().end(), owns)) wait.tid = found.slot.owner_tid;
    to.waits.push_back(std::move(wait));
  }
  std::stable_sort(to.waits.begin(), to.waits.end(), [](const OpenWait& a, const OpenWait& b) { return a.order > b.order; });
  add_holders(*core, all, to);
  if (!options.stacks) return to;
  Symbolizer symbolizer;
  symbolizer.learn(core->pid(), core->mappings(), [&](const Mapping& mapping) { return core->open_mapped(mapping); });
  each_stuck_thread(to, [&](OpenWait& wait) { wait.stack = stack_of(*core, symbolizer, wait.tid); });
  each_holder_apart(to, [&](std::uint32_t, LockHolder& holder) { holder.stack = stack_of(*core, symbolizer, holder.tid); });
  return to;
}

}  // namespace waitprobe
