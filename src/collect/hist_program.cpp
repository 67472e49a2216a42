// SPDX-License-Identifier: MIT
#include "src/collect/hist_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "hist.skel.h"
#include "src/collect/tracing_rights.h"

namespace waitprobe {

void HistProgram::DestroySkeleton::operator()(hist_bpf* skeleton) const { hist_bpf__destroy(skeleton); }
void HistProgram::FreeRing::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
void HistProgram::Unmap::operator()(const void* memory) const { munmap(const_cast<void*>(memory), bytes); }

template <class T>
Result<HistProgram::MappedArray<T>> HistProgram::map_array(int fd) {
  const std::size_t bytes = (sizeof(T) * WP_POOL_SIZE + 4095) / 4096 * 4096;
  void* memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Error{"map", "the histograms of the BPF program", errno_text(errno), ""};
  return MappedArray<T>(static_cast<const T*>(memory), Unmap{bytes});
}

Result<HistProgram> HistProgram::load(const wp_config& config) {
  if (auto rights = check_tracing_rights(); !rights) return rights.error();
  LibbpfLog log;
  HistProgram program;
  program.skeleton_.reset(hist_bpf__open());
  if (program.skeleton_ == nullptr) return load_error(errno, log.text());
  hist_bpf* skeleton = program.skeleton_.get();
  skeleton->rodata->config = config;
  bpf_program__set_autoload(skeleton->progs.on_fork, config.follow_forks);
  bpf_program__set_autoload(skeleton->progs.on_exit, config.filter_targets);
  bpf_program__set_autoattach(skeleton->progs.on_wait_stop, false);
  if (const int failed = hist_bpf__load(skeleton); failed != 0) return load_error(-failed, log.text());
  if (const int failed = hist_bpf__attach(skeleton); failed != 0) return load_error(-failed, log.text());

  program.execs_.reset(ring_buffer__new(bpf_map__fd(skeleton->maps.execs), on_exec_record, program.started_.get(), nullptr));
  if (program.execs_ == nullptr) return load_error(errno, log.text());
  auto hists = map_array<wp_hist>(bpf_map__fd(skeleton->maps.hists));
  if (!hists) return hists.error();
  auto infos = map_array<wp_series_info>(bpf_map__fd(skeleton->maps.infos));
  if (!infos) return infos.error();
  program.hists_ = std::move(*hists);
  program.infos_ = std::move(*infos);
  return program;
}

const bpf_program* HistProgram::on_wait_stop() const { return skeleton_->progs.on_wait_stop; }

Result<void> HistProgram::add_target(std::uint32_t pid) {
  const std::uint8_t yes = 1;
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.targets), &pid, &yes, BPF_ANY) == 0) return {};
  return Error{"count", "process " + std::to_string(pid), errno_text(errno), ""};
}

bool HistProgram::is_target(std::uint32_t pid) const {
  std::uint8_t yes = 0;
  return !skeleton_->rodata->config.filter_targets ||
         bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.targets), &pid, &yes) == 0;
}

int HistProgram::execs_fd() const { return ring_buffer__epoll_fd(execs_.get()); }

int HistProgram::on_exec_record(void* started, void* data, std::size_t size) {
  if (size >= sizeof(wp_exec)) (*static_cast<std::function<void(std::uint32_t)>*>(started))(static_cast<wp_exec*>(data)->pid);
  return 0;
}

void HistProgram::take_execs(const std::function<void(std::uint32_t)>& started) {
  *started_ = started;
  ring_buffer__consume(execs_.get());
}

std::vector<Series> HistProgram::series() const {
  std::vector<Series> all;
  const std::uint32_t used = std::min<std::uint32_t>(skeleton_->bss->next_slot, WP_POOL_SIZE);
  for (std::uint32_t slot = 0; slot < used; slot++) {
    Histogram histogram(hists_[slot]);
    if (histogram.count() == 0) continue;
    const wp_series_info& info = infos_[slot];
    Series s;
    s.pid = info.pid;
    s.process_start_ns = info.process_start_ns;
    s.comm.assign(info.comm, strnlen(info.comm, sizeof info.comm));
    s.key.assign(info.key, std::min<std::size_t>(info.key_len, sizeof info.key));
    s.key_len = info.key_len;
    s.distinct = info.key_len > sizeof info.key ? info.distinct : 0;
    s.histogram = histogram;
    all.push_back(std::move(s));
  }
  return all;
}

Losses HistProgram::losses() const {
  Losses losses;
  losses.series_full = skeleton_->bss->losses.series_full;
  losses.unreadable = skeleton_->bss->losses.unreadable;
  losses.unfollowed = skeleton_->bss->unfollowed_cnt;
  return losses;
}

}  // namespace waitprobe
