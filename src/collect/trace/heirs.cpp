// SPDX-License-Identifier: MIT
#include "src/collect/trace/heirs.h"

#include <algorithm>

namespace waitprobe {
namespace {

constexpr std::size_t most_forks = 16'384;
constexpr std::size_t most_unattached = 4096;

bool inherits(const Fork& fork, const Unattached& from) {
  return fork.parent_pid == from.pid && fork.time_ns >= from.from_ns && fork.time_ns < from.until_ns;
}

}  // namespace

void Heirs::pass_on(const Unattached& one, const Fork& fork) {
  tell_(fork, one);
  add({fork.pid, one.file, one.id, fork.time_ns, std::min(fork.until_ns, one.attached_ns), one.attached_ns, one.why});
}

bool Heirs::add(Unattached one) {
  if (unattached_.size() >= most_unattached) return false;
  unattached_.push_back(one);
  for (const auto& [pid, fork] : forks_) {
    if (inherits(fork, one)) pass_on(one, fork);
  }
  return one.from_ns > forgotten_ns_;
}

void Heirs::end(std::uint32_t pid, std::uint64_t time_ns) {
  for (Unattached& one : unattached_) {
    if (one.pid == pid) one.until_ns = std::min(one.until_ns, time_ns);
  }
  const auto fork = forks_.find(pid);
  if (fork != forks_.end()) fork->second.until_ns = std::min(fork->second.until_ns, time_ns);
}

void Heirs::process_began(Fork fork) {
  end(fork.pid, fork.time_ns);
  std::erase_if(unattached_, [&](const Unattached& one) { return one.until_ns <= fork.time_ns; });
  for (std::size_t i = 0, known = unattached_.size(); i < known; i++) {
    if (inherits(fork, unattached_[i])) pass_on(Unattached(unattached_[i]), fork);
  }
  order_.emplace_back(fork.pid, fork.time_ns);
  forks_.insert_or_assign(fork.pid, std::move(fork));
  if (order_.size() <= most_forks) return;
  const auto [pid, time_ns] = order_.front();
  order_.pop_front();
  forgotten_ns_ = time_ns;
  const auto oldest = forks_.find(pid);
  if (oldest != forks_.end() && oldest->second.time_ns == time_ns) forks_.erase(oldest);
}

void Heirs::forget(std::uint64_t id) {
  std::erase_if(unattached_, [&](const Unattached& one) { return one.id == id; });
}

}  // namespace waitprobe
