// SPDX-License-Identifier: MIT
#include "src/collect/heirs.h"

#include <algorithm>

namespace waitprobe {
namespace {

constexpr std::size_t most_forks = 16'384;
constexpr std::size_t most_unattached = 4096;  // more are dropped: that there are such is known by then

bool inherits(const Fork& fork, const Unattached& from) {
  return fork.parent_pid == from.pid && fork.time_ns >= from.from_ns && fork.time_ns < from.until_ns;
}

}  // namespace

void Heirs::pass_on(const Unattached& one, const Fork& fork) {
  tell_(fork, one);
  heirs_.emplace_back(one.pid, fork.pid);
  add({fork.pid, one.file, fork.time_ns, one.until_ns, one.why});
}

void Heirs::add(Unattached one) {
  const auto is_it = [&](const Unattached& known) {
    return known.pid == one.pid && known.file == one.file && known.from_ns <= one.from_ns && known.until_ns >= one.until_ns;
  };
  if (unattached_.size() >= most_unattached || std::any_of(unattached_.begin(), unattached_.end(), is_it)) return;
  unattached_.push_back(one);
  for (const Fork& fork : forks_) {
    if (inherits(fork, one)) pass_on(one, fork);
  }
}

void Heirs::process_began(Fork fork) {
  for (std::size_t i = 0, known = unattached_.size(); i < known; i++) {
    if (inherits(fork, unattached_[i])) pass_on(Unattached(unattached_[i]), fork);
  }
  forks_.push_back(std::move(fork));
  if (forks_.size() > most_forks) forks_.pop_front();
}

std::vector<std::uint32_t> Heirs::take(std::uint32_t pid, const std::string& file) {
  std::vector<std::uint32_t> pids = {pid};
  for (std::size_t i = 0; i < pids.size(); i++) {
    for (const auto& [parent, child] : heirs_) {
      if (parent == pids[i] && std::find(pids.begin(), pids.end(), child) == pids.end()) pids.push_back(child);
    }
  }
  std::erase_if(unattached_, [&](const Unattached& one) {
    return one.file == file && std::find(pids.begin(), pids.end(), one.pid) != pids.end();
  });
  pids.erase(pids.begin());
  return pids;
}

}  // namespace waitprobe
