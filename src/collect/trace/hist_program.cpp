// SPDX-License-Identifier: MIT
#include "src/collect/trace/hist_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "bpf/claim.h"
#include "bpf/ends.h"
#include "hist.skel.h"
#include "src/collect/machine/clock.h"
#include "src/collect/machine/kernel_features.h"
#include "src/collect/process/time_namespace.h"
#include "src/collect/trace/mapped_array.h"
#include "src/collect/machine/tracepoints.h"
#include "src/collect/machine/tracing_rights.h"
#include "src/collect/machine/uprobe_multi.h"
#include "src/collect/trace/loss_fields.h"
#include "src/model/trace_id.h"

namespace waitprobe {

void HistProgram::DestroySkeleton::operator()(hist_bpf* skeleton) const { hist_bpf__destroy(skeleton); }
void HistProgram::Unmap::operator()(void* memory) const { munmap(memory, bytes); }

Result<HistProgram::Rings> HistProgram::map_rings(const bpf_map* map) {
  // The kernel rounds elements up to 8 bytes, which ours are a multiple of.
  static_assert(sizeof(wp_ring) % 8 == 0);
  const std::size_t bytes = (sizeof(wp_ring) * bpf_map__max_entries(map) + 4095) / 4096 * 4096;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
  if (memory == MAP_FAILED) return Error{"map", "memory of the BPF programs", errno_text(errno), ""};
  return Rings(static_cast<wp_ring*>(memory), Unmap{bytes});
}

namespace {

void choose_programs(hist_bpf& skeleton, Transport transport) {
  const auto& programs = skeleton.progs;
  const bool batches = transport == Transport::batches;
  bpf_program__set_autoload(programs.on_wait_stop, !batches);
  for (bpf_program* program : {programs.on_wait_batch, programs.on_wait_block, programs.claim, programs.introduce}) {
    bpf_program__set_autoload(program, batches);
  }
  for (bpf_program* program : {programs.on_wait_stop, programs.on_wait_batch, programs.on_wait_block}) {
    bpf_program__set_autoattach(program, false);
    prefer_uprobe_multi(program);
  }
}

// Where the kernel tells of an exec and of a thread's end while the old memory is there, the tracepoints of system calls, which
// cost every system call of the machine a little, are not needed.
std::vector<TracepointProgram> ends(const hist_bpf& skeleton, const KernelFeatures& kernel) {
  const bpf_program* const program = skeleton.progs.on_end;
  std::vector<TracepointProgram> all = {{program, "signal/signal_deliver", WP_END_BY_SIGNAL}};
  const auto memory_ends_at = [&](const char* tracepoint) { all.push_back({program, tracepoint, WP_END_OF_MEMORY}); };
  if (kernel.exec_is_announced) {
    memory_ends_at("sched/sched_prepare_exec");
  } else {
    for (const char* call : {"syscalls/sys_enter_execve", "syscalls/sys_enter_execveat"}) memory_ends_at(call);
  }
  if (!kernel.exit_is_early) {
    for (const char* call : {"syscalls/sys_enter_exit", "syscalls/sys_enter_exit_group"}) memory_ends_at(call);
  }
  all.push_back({program, "sched/sched_process_exit", WP_END_OF_THREAD});
  return all;
}

// At the first index that is free, unless it is there already.
template <class Key, class Value, class IsIt>
void put_at_first(const bpf_map* map, Key key, const Value& value, const IsIt& is_it) {
  const int fd = bpf_map__fd(map);
  for (; key.index < WP_THREAD_INSTANCES; key.index++) {
    if (bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST) == 0 || errno != EEXIST) return;
    Value known = {};
    if (bpf_map_lookup_elem(fd, &key, &known) == 0 && is_it(known)) return;
  }
}

// All entries of a hash table that others change meanwhile: those that are there all the time, and perhaps others.
template <class Key, class Value>
std::vector<std::pair<Key, Value>> entries_of(const bpf_map* map) {
  std::vector<std::pair<Key, Value>> entries;
  const int fd = bpf_map__fd(map);
  Key key;
  Value value;
  for (const Key* previous = nullptr;
       entries.size() < bpf_map__max_entries(map) && bpf_map_get_next_key(fd, previous, &key) == 0; previous = &key) {
    if (bpf_map_lookup_elem(fd, &key, &value) == 0) entries.emplace_back(key, value);
  }
  return entries;
}

// Of a process or a thread: whether there is one of this number, ended or not.
bool is_there(std::uint32_t id) { return kill(static_cast<pid_t>(id), 0) == 0 || errno != ESRCH; }

// Runs a program of type syscall.
int run(const bpf_program* program) {
  bpf_test_run_opts options = {};
  options.sz = sizeof options;
  const int failed = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
  return failed != 0 ? -1 : static_cast<int>(options.retval);
}

}  // namespace

Result<HistProgram> HistProgram::load(const wp_config& config, Transport transport) {
  if (auto rights = check_tracing_rights(); !rights) return rights.error();
  const TracefsFolder tracefs = TracefsFolder::open();
  const auto kernel = read_kernel_features(tracefs);
  if (!kernel) return kernel.error();
  const auto offsets = own_time_offsets();
  if (!offsets) return unknown_time_error();
  LibbpfLog log;
  HistProgram program;
  program.transport_ = transport;
  program.offset_ns_ = offsets->monotonic_ns;
  program.skeleton_.reset(hist_bpf__open());
  if (program.skeleton_ == nullptr) return load_error(errno, log.text());
  hist_bpf* skeleton = program.skeleton_.get();
  skeleton->rodata->config = config;
  skeleton->rodata->config.boottime_offset_ns = offsets->boottime_ns;
  choose_programs(*skeleton, transport);
  const std::uint32_t pool_size = config.pool_size != 0 ? config.pool_size : WP_POOL_SIZE;
  skeleton->rodata->config.pool_size = pool_size;
  for (bpf_map* map : {skeleton->maps.series, skeleton->maps.hists, skeleton->maps.infos, skeleton->maps.free_slots}) {
    bpf_map__set_max_entries(map, pool_size);
  }
  // CPUs whose numbers are beyond (there may be holes) do without.
  if (const int cpus = libbpf_num_possible_cpus(); cpus > 0) {
    bpf_map__set_max_entries(skeleton->maps.tallies, static_cast<std::uint32_t>(std::min(cpus, WP_TALLIES)));
  }
  if (config.keeps_exemplars != 0) bpf_map__set_max_entries(skeleton->maps.exemplars, pool_size);
  skeleton->bss->exemplar_round = 1;
  if (const int failed = hist_bpf__load(skeleton); failed != 0) return load_error(-failed, log.text());
  auto series =
      SeriesPool::open({skeleton->maps.series, skeleton->maps.hists, skeleton->maps.infos, skeleton->maps.free_slots,
                        &skeleton->bss->slot_leases, &skeleton->bss->slot_epoch,
                        config.keeps_exemplars != 0 ? skeleton->maps.exemplars : nullptr, &skeleton->bss->exemplar_round});
  if (!series) return series.error();
  auto states = Leases::open(skeleton->maps.free_states, skeleton->bss->state_leases);
  if (!states) return states.error();
  auto running = RunningPrograms::open();
  if (!running) return running.error();
  program.series_ = std::move(*series);
  program.states_ = std::move(*states);
  program.running_ = std::move(*running);
  auto links = attach_to_kernel(*skeleton->skeleton, ends(*skeleton, *kernel), tracefs, log);
  if (!links) return links.error();
  program.links_ = std::move(*links);

  auto processes = ProcessFilter::open(skeleton->maps.targets, skeleton->maps.discoveries, config.filter_targets != 0);
  if (!processes) return processes.error();
  auto rings = map_rings(skeleton->maps.rings);
  if (!rings) return rings.error();
  program.processes_ = std::move(*processes);
  program.rings_ = std::move(*rings);
  return program;
}

std::vector<ProbeProgram> HistProgram::probe_programs() const {
  if (transport_ == Transport::events) return {{skeleton_->progs.on_wait_stop, "wait_stop"}};
  // wait_batch first: between the two a thread may take a block and flush it, which would look like a gap.
  return {{skeleton_->progs.on_wait_batch, "wait_batch"}, {skeleton_->progs.on_wait_block, "wait_block"}};
}

void HistProgram::set_rate(const TickRate& rate) {
  __atomic_store_n(&skeleton_->data->windows[WP_WINDOW_CYCLES].mult, rate.mult, __ATOMIC_RELAXED);
}

void HistProgram::count_from(std::uint64_t since_ns, const ClockPair& now, const TickRate& rate) {
  auto& windows = skeleton_->data->windows;
  windows[WP_WINDOW_NS].since = since_ns - offset_ns_;
  if (rate.mult != 0) windows[WP_WINDOW_CYCLES].since = cycles_at(since_ns, now, rate);
  windows[WP_WINDOW_CYCLES].shift = rate.shift;
  set_rate(rate);
  for (wp_window& window : windows) __atomic_store_n(&window.span, UINT64_MAX - window.since, __ATOMIC_RELEASE);
}

void HistProgram::count_until(std::uint64_t until_ns, const ClockPair& now, const TickRate& rate) {
  auto& windows = skeleton_->data->windows;
  __atomic_store_n(&windows[WP_WINDOW_NS].span, until_ns - offset_ns_ - windows[WP_WINDOW_NS].since, __ATOMIC_RELEASE);
  if (rate.mult == 0) return;
  const std::uint64_t until = cycles_at(until_ns, now, rate);
  __atomic_store_n(&windows[WP_WINDOW_CYCLES].span, until - windows[WP_WINDOW_CYCLES].since, __ATOMIC_RELEASE);
}

std::uint64_t HistProgram::claim(std::uint64_t incarnation, std::uint32_t pid, const BlockRecords& records,
                                 std::uint64_t offset_ns) {
  const std::uint64_t all = records.records.size();
  std::uint64_t done = 0;
  while (done < all) {
    // Record n is looked for at n % WP_RING_RECORDS.
    const std::uint64_t first = records.first + done, at = first % WP_RING_RECORDS;
    const std::uint64_t cnt = std::min<std::uint64_t>(all - done, WP_RING_RECORDS - at);
    std::ranges::copy(records.records.subspan(done, cnt), rings_[WP_RING_OF_TOOL].records + at);
    const auto traces = std::span(skeleton_->bss->claimed_traces).subspan(at, cnt);
    if (records.traces.empty()) {
      std::ranges::fill(traces, wp_trace_id{});
    } else {
      std::ranges::copy(records.traces.subspan(done, cnt), traces.begin());
    }
    skeleton_->bss->claimed = {{incarnation, records.block}, first, cnt, offset_ns, pid, 0};
    if (run(skeleton_->progs.claim) == WP_REFUSE) break;
    done += cnt;
  }
  return done;
}

void HistProgram::introduce(const wp_series_info& info) {
  skeleton_->bss->introduction = info;
  if (run(skeleton_->progs.introduce) == 1) series_.is_introduced_now(info.series);
}

void HistProgram::remember_owner(std::uint32_t tid, const wp_owned_block& owned) {
  put_at_first(skeleton_->maps.threads, wp_thread_key{tid, 0}, owned, [&](const wp_owned_block& known) {
    return known.key.incarnation == owned.key.incarnation && known.key.block == owned.key.block;
  });
}

void HistProgram::remember_arena(std::uint32_t pid, const wp_known_arena& arena) {
  put_at_first(skeleton_->maps.arenas, wp_arena_key{pid, 0}, arena,
               [&](const wp_known_arena& known) { return known.incarnation == arena.incarnation; });
}

std::vector<wp_arena> HistProgram::take_last_arenas() {
  const int map = bpf_map__fd(skeleton_->maps.last_arenas);
  std::vector<wp_arena> arenas;
  std::uint64_t incarnation = 0;
  wp_arena arena;
  while (arenas.size() < WP_LAST_ARENAS && bpf_map_get_next_key(map, nullptr, &incarnation) == 0) {
    if (bpf_map_lookup_and_delete_elem(map, &incarnation, &arena) == 0) arenas.push_back(arena);
  }
  return arenas;
}

std::uint64_t HistProgram::untold_cnt() const { return skeleton_->bss->untold_cnt; }

void HistProgram::find_closed(std::map<std::uint64_t, Closed>& closed) const {
  for (const auto& [thread, owned] : entries_of<wp_thread_key, wp_owned_block>(skeleton_->maps.threads)) {
    const auto known = closed.find(owned.key.incarnation);
    if (known != closed.end()) known->second.blocks.insert(owned.key.block);
  }
  for (const auto& [place, arena] : entries_of<wp_arena_key, wp_known_arena>(skeleton_->maps.arenas)) {
    const auto known = closed.find(arena.incarnation);
    if (known != closed.end()) known->second.arena = arena.arena;
  }
}

void HistProgram::forget_closed(const std::map<std::uint64_t, Closed>& closed) {
  const auto forget = [&](const wp_thread_key& thread, const wp_arena_key& arena, std::uint64_t incarnation) {
    skeleton_->bss->forgotten = {thread, arena, incarnation};
    run(skeleton_->progs.forget);
  };
  constexpr wp_thread_key no_thread = {0, WP_THREAD_INSTANCES};
  constexpr wp_arena_key no_arena = {0, WP_THREAD_INSTANCES};
  for (const auto& [thread, owned] : entries_of<wp_thread_key, wp_owned_block>(skeleton_->maps.threads)) {
    if (closed.contains(owned.key.incarnation)) forget(thread, no_arena, owned.key.incarnation);
  }
  for (const auto& [place, arena] : entries_of<wp_arena_key, wp_known_arena>(skeleton_->maps.arenas)) {
    if (closed.contains(arena.incarnation)) forget(no_thread, place, arena.incarnation);
  }
  running_.wait();
}

// Blocks of processes that have ended, and of instances that are known to have.
std::vector<std::uint32_t> HistProgram::end_states(const std::function<std::optional<bool>(std::uint64_t)>& has_ended) {
  std::vector<std::uint32_t> ended;
  const auto& used = states_.used();
  const auto look_at = [&](std::uint32_t index, const wp_block_state& state) {
    const bool is_known = leads_to(skeleton_->maps.blocks, state.key, index);
    if (is_known && !has_ended(state.key.incarnation).value_or(!is_there(state.pid))) return;
    if (is_known) bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.blocks), &state.key);
    ended.push_back(index);
  };
  read_each<wp_block_state>(skeleton_->maps.block_states, {used.begin(), used.end()}, look_at);
  return ended;
}

// What was remembered of threads and processes after they had ended.
void HistProgram::forget_dead() {
  for (const auto& [thread, owned] : entries_of<wp_thread_key, wp_owned_block>(skeleton_->maps.threads)) {
    if (!is_there(thread.tid)) bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.threads), &thread);
  }
  for (const auto& [place, arena] : entries_of<wp_arena_key, wp_known_arena>(skeleton_->maps.arenas)) {
    if (!is_there(place.pid)) bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.arenas), &place);
  }
  for (const std::uint32_t pid : processes_.filters() ? processes_.targets() : std::vector<std::uint32_t>()) {
    if (!is_there(pid)) processes_.remove_target(pid);
  }
}

void HistProgram::make_room(const std::function<std::optional<bool>(std::uint64_t)>& has_ended) {
  std::vector<std::uint32_t> states = end_states(has_ended);
  const bool are_slots_ending = series_.end_leases();
  if (!states.empty() || are_slots_ending) running_.wait();
  read_each<wp_block_state>(skeleton_->maps.block_states, states, [&](std::uint32_t index, const wp_block_state& state) {
    if (!leads_to(skeleton_->maps.blocks, state.key, index)) states_.give_back(index);
  });
  if (are_slots_ending) {
    series_.renew_caches();
    running_.wait();
    series_.take_back();
  }
  forget_dead();
  states_.wait_for_more();
}

std::vector<WaitExemplar> HistProgram::take_exemplars(const ClockPair& now, const TickRate& rate) {
  std::vector<WaitExemplar> all;
  const double now_unix_ns = static_cast<double>(clock_ns(CLOCK_REALTIME)) - static_cast<double>(now_ns() - now.ns);
  for (auto& [series, kept] : series_.take_exemplars()) {
    const std::uint64_t stop = kept.stop & ~WP_STOP_CYCLES;
    const bool is_cycles = (kept.stop & WP_STOP_CYCLES) != 0;
    const double ago_ns = is_cycles ? (static_cast<double>(now.cycles) - static_cast<double>(stop)) * ns_per_tick(rate)
                                    : static_cast<double>(now.ns - offset_ns_) - static_cast<double>(stop);
    WaitExemplar& one = all.emplace_back();
    one.exemplar.duration_ns = kept.duration_ns;
    one.exemplar.time_unix_ns = static_cast<std::uint64_t>(now_unix_ns - ago_ns);
    one.exemplar.pid = series.pid;
    one.exemplar.tid = kept.tid;
    one.exemplar.trace_id = trace_id_text(kept.trace);
    one.series = std::move(series);
  }
  return all;
}

std::uint64_t HistProgram::run_time_ns() const { return __atomic_load_n(&skeleton_->bss->run_time_ns, __ATOMIC_RELAXED); }

Losses HistProgram::losses() const {
  Losses losses = losses_of(skeleton_->bss->losses, hist_losses);
  losses.missed = missed_runs(skeleton_->obj);
  losses.unfollowed = skeleton_->bss->unfollowed_cnt;
  return losses;
}

}  // namespace waitprobe
