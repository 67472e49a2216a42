// SPDX-License-Identifier: MIT
#include "src/collect/trace/leases.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace waitprobe {
namespace {

constexpr const char* what = "memory of the BPF programs";

}  // namespace

void Leases::Unmap::operator()(std::uint32_t* ring) const { munmap(ring, bytes); }

Result<Leases> Leases::open(const bpf_map* ring, wp_leases& shared) {
  Leases leases;
  leases.shared_ = &shared;
  leases.size_ = bpf_map__max_entries(ring);
  // The kernel rounds each element up to 8 bytes.
  const std::size_t bytes = (leases.size_ * sizeof(std::uint64_t) + 4095) / 4096 * 4096;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(ring), 0);
  if (memory == MAP_FAILED) return Error{"map", what, errno_text(errno), ""};
  leases.ring_ = {static_cast<std::uint32_t*>(memory), Unmap{bytes}};
  for (std::uint32_t i = 0; i < leases.size_; i++) leases.ring_[2 * std::size_t{i}] = i;
  leases.given_ = leases.size_;
  __atomic_store_n(&shared.free, leases.size_, __ATOMIC_RELEASE);
  leases.wait_for_more();
  return leases;
}

const std::set<std::uint32_t>& Leases::used() {
  const std::uint64_t taken = __atomic_load_n(&shared_->taken, __ATOMIC_ACQUIRE);
  for (; seen_ != taken; seen_++) used_.insert(ring_[2 * (seen_ % size_)]);
  return used_;
}

std::uint32_t Leases::free_cnt() const {
  const __s64 free = __atomic_load_n(&shared_->free, __ATOMIC_RELAXED);
  return free > 0 ? static_cast<std::uint32_t>(free) : 0;
}

void Leases::wait_for_more() {
  const std::uint32_t free = free_cnt();
  crowded_ = std::max(size_ / 4, size_ - free + free / 4);
  __atomic_store_n(&shared_->wake_at, size_ - crowded_, __ATOMIC_RELAXED);
}

void Leases::give_back(std::uint32_t place) {
  used_.erase(place);
  ring_[2 * (given_++ % size_)] = place;
  __atomic_fetch_add(&shared_->free, 1, __ATOMIC_RELEASE);
}

Result<RunningPrograms> RunningPrograms::open() {
  RunningPrograms programs;
  programs.inner_ = FileDescriptor(bpf_map_create(BPF_MAP_TYPE_ARRAY, "wp_inner", 4, 4, 1, nullptr));
  if (!programs.inner_.ok()) return Error{"make", what, errno_text(errno), ""};
  bpf_map_create_opts options = {};
  options.sz = sizeof options;
  options.inner_map_fd = static_cast<std::uint32_t>(programs.inner_.get());
  programs.outer_ = FileDescriptor(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "wp_outer", 4, 4, 1, &options));
  if (!programs.outer_.ok()) return Error{"make", what, errno_text(errno), ""};
  return programs;
}

// The kernel promises this of changes to a map of maps: whoever comes back from one knows that all programs see the new map.
void RunningPrograms::wait() const {
  const std::uint32_t key = 0;
  const int inner = inner_.get();
  bpf_map_update_elem(outer_.get(), &key, &inner, BPF_ANY);
}

}  // namespace waitprobe
