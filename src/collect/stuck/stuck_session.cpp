// SPDX-License-Identifier: MIT
#include "src/collect/stuck/stuck_session.h"

#include <algorithm>
#include <future>
#include <set>
#include <system_error>

#include "src/collect/machine/clock.h"
#include "src/collect/process/environment.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/stacks/stopped_thread.h"
#include "src/collect/stuck/lock_holders.h"
#include "src/collect/process/thread_info.h"
#include "src/collect/process/time_namespace.h"
#include "src/model/key_patterns.h"
#include "src/model/trace_id.h"

namespace waitprobe {
namespace {

// Of moments that offsets were taken from: one before our clock began is as large a number as there is.
bool is_before(std::uint64_t one, std::uint64_t other) { return static_cast<std::int64_t>(one - other) < 0; }

}  // namespace

void describe_key(OpenWait& wait, const CounterName& name, const StuckOptions& options) {
  wait.key = name.key;
  wait.key_len = name.key_len;
  wait.key_class = class_of(name.key, class_of_flags(name.flags), options.class_globs);
  if (wait.key_class != KeyClass::idle) return;
  wait.lasting = matches_any(name.key, options.class_globs.idle) ? Lasting::by_option : Lasting::by_class;
}

void each_stuck_thread(OpenWaits& found, const std::function<void(OpenWait& oldest)>& add_stack) {
  std::set<std::uint32_t> threads;
  for (OpenWait& wait : found.waits) {
    if (wait.lasting != Lasting::no) continue;
    if (wait.tid == 0) {
      wait.no_stack_reason = "its thread has ended";
    } else if (!threads.insert(wait.tid).second) {
      wait.no_stack_reason = "same thread as above";
    } else {
      add_stack(wait);
    }
  }
}

void each_holder_apart(OpenWaits& found, const std::function<void(std::uint32_t pid, LockHolder& holder)>& add_stack) {
  std::set<std::uint32_t> shown;
  for (const OpenWait& wait : found.waits) {
    if (wait.lasting == Lasting::no) shown.insert(wait.tid);
  }
  for (OpenWait& wait : found.waits) {
    if (wait.holders.empty()) continue;
    LockHolder& holder = wait.holders.front();
    if (!holder.has_ended && shown.insert(holder.tid).second) add_stack(wait.pid, holder);
  }
}

Result<StuckSession> StuckSession::open(const TargetChoice& choice, const StuckOptions& options) {
  StuckSession session(choice, options);
  if (choice.file.empty()) return session;
  const auto file = open_carrier(choice.file);
  if (!file) return file.error();
  session.only_file_ = file->probes.on_disk;
  return session;
}

std::vector<StuckSession::Found> StuckSession::find_slots(const std::vector<LibraryInstance>& instances, Arming* arming,
                                                          OpenWaits& to) const {
  std::vector<Found> found;
  std::set<std::uint32_t> untracked, unreadable, crowded, other_abi;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> owners;  // of blocks: process and thread
  for (const LibraryInstance& instance : instances) {
    const ProcessMemory memory(instance.pid);
    const auto root = read_root(memory, instance.root_address);
    if (!root) {
      std::uint64_t magic = 0;
      const bool is_readable = memory.read(instance.root_address + offsetof(wp_root, magic), &magic, sizeof magic);
      if (is_still_there(instance)) (is_readable ? other_abi : unreadable).insert(instance.pid);
      continue;
    }
    if (root->armed.self == 0) {
      untracked.insert(instance.pid);
      if (arming != nullptr) arming->arm(instance);
    }
    const auto arena = read_arena(memory, *root);
    if (!arena) continue;
    const OpenSlots open = read_open_slots(memory, *root, *arena);
    for (const OpenSlot& slot : open.slots) found.push_back({&instance, slot});
    for (const std::uint32_t tid : open.owners) owners.emplace_back(instance.pid, tid);
    if (!open.are_all) crowded.insert(instance.pid);
  }
  std::sort(owners.begin(), owners.end());
  for (Found& one : found) {
    const auto [first, end] = std::equal_range(owners.begin(), owners.end(), std::pair(one.instance->pid, one.slot.owner_tid));
    one.is_of_only_block = end - first == 1 && !crowded.contains(one.instance->pid);
  }
  for (const std::uint32_t pid : untracked) to.untracked.push_back({pid, comm_of(pid)});
  for (const std::uint32_t pid : crowded) to.crowded.push_back({pid, comm_of(pid)});
  to.unseen.process_cnt += static_cast<std::uint32_t>(unreadable.size());
  for (const std::uint32_t pid : other_abi) to.other_abi.push_back({pid, comm_of(pid)});
  return found;
}

// The process that an instance is in, looked up once.
StuckSession::Process& StuckSession::process_of(std::uint32_t pid, Processes& processes) {
  const auto [entry, is_new] = processes.try_emplace(pid);
  if (is_new) entry->second = {comm_of(pid), threads_of(pid), {}, monotonic_ahead_of_ours(pid), start_ticks_of(pid)};
  return entry->second;
}

// Nothing when its key cannot be read, or is not wanted.
std::optional<OpenWait> StuckSession::describe(const Found& found, std::optional<std::uint64_t> age_ns,
                                               Process& process) const {
  const ProcessMemory memory(found.instance->pid);
  const auto name = read_counter(memory, found.slot.counter);
  if (!name || !is_wanted(name->key, options_.key_globs)) return std::nullopt;
  OpenWait wait;
  wait.pid = found.instance->pid;
  wait.comm = process.comm;
  describe_key(wait, *name, options_);
  wait.age_ns = age_ns;
  wait.order = age_ns.value_or(0);
  wait.wait_id = found.slot.wait_id;
  wait.trace_id = trace_id_text(found.slot.trace);
  const auto thread = process.threads.find(found.slot.owner_tid);
  if (thread != process.threads.end()) {
    wait.tid = thread->second;
    ask_kernel(wait, process);
  }
  return wait;
}

// What the kernel says of a thread of the process, asked once.
void StuckSession::ask_kernel(OpenWait& wait, Process& process) {
  const auto [entry, is_new] = process.infos.try_emplace(wait.tid);
  if (is_new) entry->second = thread_info(wait.pid, wait.tid);
  const auto& info = entry->second;
  if (!info) {
    wait.tid = 0;
    return;
  }
  wait.thread = info->name;
  wait.state = info->state;
  wait.wchan = info->wchan;
  wait.system_call = info->system_call;
}

// Ages are those that our own time namespace gives them.
ThreadInWait StuckSession::evidence_of(const Found& found, const OpenWait& wait, const Process& process) {
  ThreadInWait evidence{found.instance->pid, found.instance->root_address, found.slot.counter};
  const auto info = process.infos.find(wait.tid);
  if (wait.tid == 0 || info == process.infos.end() || !info->second || !wait.age_ns) return evidence;
  const std::uint64_t now = clock_ns(CLOCK_BOOTTIME);
  evidence.tid = wait.tid;
  evidence.is_only_wait = found.slot.is_first && found.is_of_only_block;
  evidence.may_await_work = info->second->may_await_work;
  evidence.age_ns = *wait.age_ns;
  evidence.thread_age_ns = now - info->second->start_ticks * WP_CLOCK_TICK_NS;
  evidence.process_age_ns = now - process.start_ticks * WP_CLOCK_TICK_NS;
  return evidence;
}

StuckSession::Innermost StuckSession::innermost_of(const std::vector<Found>& all, const SlotClock& clock,
                                                   Processes& processes) {
  Innermost innermost;
  for (const Found& one : all) {
    const Process& process = process_of(one.instance->pid, processes);
    const auto thread = process.threads.find(one.slot.owner_tid);
    if (thread == process.threads.end()) continue;
    const std::uint64_t start_ns = clock.start_ns(one.slot, process.ahead_ns).value_or(one.slot.start);
    auto& known = innermost[thread->second];
    if (known.second == nullptr || start_ns >= known.first) known = {start_ns, &one};
  }
  return innermost;
}

// The mutexes that are waited for, and what their holders are inside of.
void StuckSession::add_holders(const Innermost& innermost, Processes& processes, OpenWaits& to) {
  const auto name_key = [&](LockHolder& holder) {
    const auto inside = innermost.find(holder.tid);
    if (holder.has_ended || inside == innermost.end()) return;
    const Found& found = *inside->second.second;
    const auto name = read_counter(ProcessMemory(found.instance->pid), found.slot.counter);
    if (!name) return;
    holder.key = name->key;
    holder.key_len = name->key_len;
  };

  for (OpenWait& wait : to.waits) {
    if (wait.tid == 0 || wait.lasting != Lasting::no) continue;
    Process& process = process_of(wait.pid, processes);
    const auto& info = process.infos[wait.tid];
    if (!info || !info->futex) continue;
    const ProcessMemory memory(wait.pid);
    const LivingThreads threads(wait.pid);
    LockHolders(memory, threads, process.threads, name_key).add_to(wait, info->futex, to);
  }
}

void StuckSession::add_stack(std::uint32_t pid, std::uint32_t tid, Stack& stack, std::string& no_stack_reason, OpenWaits& to) {
  const auto thread = stop_and_sample(ProcessMemory(pid), tid);
  if (!thread) {
    no_stack_reason = thread.error().why;
    return;
  }
  to.stopped_cnt++;
  to.stopped_ns = std::max(to.stopped_ns, thread->stopped_ns);
  stack = symbolizer_.stack_of(pid, thread->sample);
}

// Whoever has not stopped by the time that we gave it is let go when the thread that wanted it to ends, and not before: so that
// thread is one of its own, and without it nobody is stopped.
void StuckSession::add_stacks(OpenWaits& to) {
  std::future<void> done;
  try {
    done = std::async(std::launch::async, [&] { stop_and_add_stacks(to); });
  } catch (const std::system_error& error) {
    const std::string why = "no thread can be started to take it: " + errno_text(error.code().value());
    each_stuck_thread(to, [&](OpenWait& wait) { wait.no_stack_reason = why; });
    return;
  }
  done.get();
}

void StuckSession::stop_and_add_stacks(OpenWaits& to) {
  std::set<std::uint32_t> looked_at;
  each_stuck_thread(to, [&](OpenWait& wait) {
    if (looked_at.insert(wait.pid).second) symbolizer_.look_at(wait.pid);
    add_stack(wait.pid, wait.tid, wait.stack, wait.no_stack_reason, to);
  });
  each_holder_apart(
      to, [&](std::uint32_t pid, LockHolder& holder) { add_stack(pid, holder.tid, holder.stack, holder.no_stack_reason, to); });
}

void StuckSession::add_groups(const std::vector<LibraryInstance>& instances, OpenWaits& to) const {
  if (options_.group_by.empty()) return;
  to.group_by = options_.group_by;
  std::map<std::uint32_t, std::optional<std::string>> groups;
  for (const LibraryInstance& instance : instances) {
    const auto [entry, is_new] = groups.try_emplace(instance.pid);
    if (is_new) entry->second = Environment(instance.pid).value_of(options_.group_by);
  }
  std::map<std::string, std::vector<OpenWaits::Process>> without;
  for (const auto& [pid, group] : groups) {
    if (group) without[*group].push_back({pid, comm_of(pid)});
  }
  for (OpenWait& wait : to.waits) {
    wait.group = groups[wait.pid];
    if (wait.group && wait.lasting == Lasting::no) without.erase(*wait.group);
  }
  for (auto& [group, processes] : without) to.groups_without.push_back({group, std::move(processes)});
}

Result<OpenWaits> StuckSession::look(Arming* arming) {
  OpenWaits to;
  to.older_ns = options_.older_ns;
  to.is_of_some_keys = !options_.key_globs.empty();
  auto found = finder_.find_all(choice_.pids);
  if (!found) return found.error();
  finder_.forget_unseen();
  to.unseen = found->unseen;
  to.has_pytorch = finder_.has_seen_pytorch();
  if (only_file_)
    std::erase_if(found->instances, [&](const LibraryInstance& instance) { return instance.probes->on_disk != *only_file_; });
  std::set<std::uint32_t> pids;
  if (!to.is_of_some_keys) {
    for (const LibraryInstance& instance : found->instances) pids.insert(instance.pid);
  }
  const UnguardedSleepers sleepers(pids);
  const auto all = find_slots(found->instances, arming, to);
  const SlotClock clock = SlotClock::measure();
  const std::uint64_t now = now_ns();
  to.time_unix_ns = clock_ns(CLOCK_REALTIME);

  Processes processes;
  std::vector<ThreadInWait> evidence;  // of all waits; of those that are not shown, nothing is known
  std::vector<std::size_t> numbers;    // of those that are shown, in `evidence`
  for (const Found& one : all) {
    Process& process = process_of(one.instance->pid, processes);
    const auto start_ns = clock.start_ns(one.slot, process.ahead_ns);
    std::optional<std::uint64_t> age_ns;
    if (start_ns) age_ns = is_before(*start_ns, now) ? now - *start_ns : 0;
    const bool is_younger = age_ns && *age_ns < options_.older_ns;
    evidence.push_back(evidence_of(one, {}, process));
    if (is_younger && options_.key_globs.empty()) {  // its key need not be read
      to.younger_cnt++;
      continue;
    }
    auto wait = describe(one, age_ns, process);
    if (wait && is_younger) to.younger_cnt++;
    if (!wait || is_younger) continue;
    evidence.back() = evidence_of(one, *wait, process);
    numbers.push_back(evidence.size() - 1);
    to.waits.push_back(std::move(*wait));
  }
  const std::vector<bool> are_idle = are_in_idle_pools(evidence);
  for (std::size_t i = 0; i < to.waits.size(); i++) {
    // Whoever has said something of the key knows better.
    if (to.waits[i].key_class == KeyClass::wait && are_idle[numbers[i]]) to.waits[i].lasting = Lasting::by_evidence;
  }
  std::stable_sort(to.waits.begin(), to.waits.end(), [](const OpenWait& a, const OpenWait& b) { return a.order > b.order; });
  const Innermost innermost = innermost_of(all, clock, processes);
  add_holders(innermost, processes, to);
  to.sleepers = sleepers.still_asleep([&](std::uint32_t tid) { return innermost.contains(tid); });
  add_groups(found->instances, to);
  if (options_.stacks) add_stacks(to);
  return to;
}

}  // namespace waitprobe
