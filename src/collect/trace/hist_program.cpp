// SPDX-License-Identifier: MIT
#include "src/collect/trace/hist_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "bpf/claim.h"
#include "hist.skel.h"
#include "src/collect/machine/kernel_features.h"
#include "src/collect/process/time_namespace.h"
#include "src/collect/machine/tracepoints.h"
#include "src/collect/machine/tracing_rights.h"
#include "src/collect/machine/uprobe_multi.h"
#include "src/collect/trace/loss_fields.h"

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

Series to_series(const wp_series_info& info) {
  Series s;
  s.pid = info.pid;
  s.parent_pid = info.parent_pid;
  s.process_start_ticks = info.process_start_ticks;
  s.comm.assign(info.comm, strnlen(info.comm, sizeof info.comm));
  s.key.assign(info.key, std::min<std::size_t>(info.key_len, sizeof info.key));
  s.key_len = info.key_len;
  s.distinct = info.key_len > sizeof info.key ? info.distinct : 0;
  return s;
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

constexpr std::uint32_t totals_at_once = 128;

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
  if (const int failed = hist_bpf__load(skeleton); failed != 0) return load_error(-failed, log.text());
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

std::uint64_t HistProgram::claim(const wp_block_key& key, std::uint64_t first, std::span<const wp_record> records,
                                 std::uint64_t offset_ns) {
  std::uint64_t done = 0;
  while (done < records.size()) {
    // Record n is looked for at n % WP_RING_RECORDS.
    const std::uint64_t at = (first + done) % WP_RING_RECORDS;
    const std::uint64_t cnt = std::min<std::uint64_t>(records.size() - done, WP_RING_RECORDS - at);
    std::copy_n(records.begin() + static_cast<std::ptrdiff_t>(done), cnt, rings_[WP_RING_OF_TOOL].records + at);
    skeleton_->bss->claimed = {key, first + done, cnt, offset_ns};
    if (run(skeleton_->progs.claim) == WP_REFUSE) break;
    done += cnt;
  }
  return done;
}

bool HistProgram::introduce(const wp_introduction& introduction) {
  skeleton_->bss->introduction = introduction;
  return run(skeleton_->progs.introduce) == 1;
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

std::uint64_t HistProgram::block_cnt() const { return skeleton_->bss->block_cnt; }

std::uint64_t HistProgram::untold_cnt() const { return skeleton_->bss->untold_cnt; }

void HistProgram::forget_blocks(const std::function<bool(std::uint64_t)>& has_ended) {
  const int map = bpf_map__fd(skeleton_->maps.blocks);
  std::vector<wp_block_key> ended;
  wp_block_key key;
  for (const wp_block_key* previous = nullptr; bpf_map_get_next_key(map, previous, &key) == 0; previous = &key) {
    if (has_ended(key.incarnation)) ended.push_back(key);
  }
  for (const wp_block_key& old : ended) {
    if (bpf_map_delete_elem(map, &old) == 0) __atomic_fetch_sub(&skeleton_->bss->block_cnt, 1, __ATOMIC_RELAXED);
  }
}

// The series that a slot belongs to, which never changes; read once.
HistProgram::KnownSeries& HistProgram::series_of(std::uint32_t slot) {
  if (slot >= series_of_slot_.size()) series_of_slot_.resize(slot + 1, nullptr);
  KnownSeries*& known = series_of_slot_[slot];
  if (known == nullptr) {
    wp_series_info info = {};
    bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.infos), &slot, &info);
    Series identity = to_series(info);
    known = &known_series_[std::make_tuple(identity.process_start_ticks, identity.pid, identity.key, identity.key_len,
                                           identity.distinct)];
    if (identity.parent_pid == 0) identity.parent_pid = known->identity.parent_pid;
    known->identity = std::move(identity);  // after an exec, with the name of today
    are_ranked_ = false;
  }
  return *known;
}

// Totals [first, first + cnt) of the pool. Copied rather than mapped: a mapping of the pool would count as 47 MB of the tool's
// memory.
void HistProgram::read_totals(std::uint32_t first, std::uint32_t cnt) {
  const int map = bpf_map__fd(skeleton_->maps.hists);
  std::uint32_t keys[totals_at_once], got = cnt, before = first - 1, last = 0;
  const int failed = bpf_map_lookup_batch(map, first != 0 ? &before : nullptr, &last, keys, totals_.data(), &got, nullptr);
  if ((failed == 0 || errno == ENOENT) && got == cnt) return;
  for (std::uint32_t i = 0; i < cnt; i++) {
    const std::uint32_t slot = first + i;
    if (bpf_map_lookup_elem(map, &slot, &totals_[i]) != 0) totals_[i] = {};  // never: all slots exist
  }
}

std::vector<Series> HistProgram::series() {
  std::vector<Series> all(known_series_.size());
  for (const auto& [key, known] : known_series_) all[known.rank] = known.identity;
  const std::uint32_t used = std::min<std::uint32_t>(skeleton_->bss->next_slot, WP_POOL_SIZE);
  totals_.resize(totals_at_once);
  for (std::uint32_t first = 0; first < used; first += totals_at_once) {
    const std::uint32_t cnt = std::min(used - first, totals_at_once);
    read_totals(first, cnt);
    for (std::uint32_t i = 0; i < cnt; i++) {
      const Histogram histogram(totals_[i]);
      if (histogram.count() == 0) continue;
      KnownSeries& known = series_of(first + i);
      if (known.rank == not_ranked) {
        known.rank = all.size();
        all.push_back(known.identity);
      }
      all[known.rank].histogram.add(histogram);
    }
  }
  if (!are_ranked_) put_in_order(all);
  return all;
}

// Once the series are in order, they come so from the beginning.
void HistProgram::put_in_order(std::vector<Series>& all) {
  merge_series(all);
  std::size_t rank = 0;
  for (auto& [key, known] : known_series_) known.rank = rank++;
  are_ranked_ = true;
}

Losses HistProgram::losses() const {
  Losses losses = losses_of(skeleton_->bss->losses, hist_losses);
  losses.missed = missed_runs(skeleton_->obj);
  losses.unfollowed = skeleton_->bss->unfollowed_cnt;
  return losses;
}

}  // namespace waitprobe
