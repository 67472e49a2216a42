// SPDX-License-Identifier: MIT
#include "src/collect/trace/process_filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>

namespace waitprobe {

void ProcessFilter::FreeRing::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

wp_config config_of(const TargetChoice& choice) {
  wp_config config = {};
  config.filter_targets = !choice.pids.empty() || !choice.command.empty();
  config.follow_forks = !choice.command.empty();
  config.pool_size = choice.max_series;
  return config;
}

Result<ProcessFilter> ProcessFilter::open(const bpf_map* targets, const bpf_map* discoveries, bool filters) {
  ProcessFilter filter;
  filter.targets_fd_ = bpf_map__fd(targets);
  filter.filters_ = filters;
  if (discoveries == nullptr) return filter;
  filter.discoveries_.reset(ring_buffer__new(bpf_map__fd(discoveries), on_discovery, filter.taker_.get(), nullptr));
  if (filter.discoveries_ == nullptr) return Error{"map", "memory of the BPF programs", errno_text(errno), ""};
  return filter;
}

Result<void> ProcessFilter::add_target(std::uint32_t pid) {
  const std::uint8_t yes = 1;
  if (bpf_map_update_elem(targets_fd_, &pid, &yes, BPF_ANY) == 0) return {};
  return Error{"count", "process " + std::to_string(pid), errno_text(errno), ""};
}

void ProcessFilter::remove_target(std::uint32_t pid) { bpf_map_delete_elem(targets_fd_, &pid); }

bool ProcessFilter::is_target(std::uint32_t pid) const {
  std::uint8_t yes = 0;
  return !filters_ || bpf_map_lookup_elem(targets_fd_, &pid, &yes) == 0;
}

std::vector<std::uint32_t> ProcessFilter::targets() const {
  std::vector<std::uint32_t> pids;
  std::uint32_t pid = 0;
  for (const std::uint32_t* previous = nullptr; bpf_map_get_next_key(targets_fd_, previous, &pid) == 0;
       previous = &pids.back()) {
    pids.push_back(pid);
    if (pids.size() >= WP_TARGETS_MAX) break;  // a key that was deleted meanwhile begins again
  }
  return pids;
}

int ProcessFilter::discoveries_fd() const { return discoveries_ ? ring_buffer__epoll_fd(discoveries_.get()) : -1; }

int ProcessFilter::on_discovery(void* taker, void* data, std::size_t size) {
  if (size >= sizeof(wp_discovery)) (*static_cast<Taker*>(taker))(*static_cast<wp_discovery*>(data));
  return 0;
}

void ProcessFilter::take_discoveries(const std::function<void(const wp_discovery&)>& look) {
  if (!discoveries_) return;
  *taker_ = look;
  ring_buffer__consume(discoveries_.get());
}

}  // namespace waitprobe
