// SPDX-License-Identifier: MIT
#include "src/collect/process_losses.h"

#include "src/collect/process_memory.h"

namespace waitprobe {
namespace {

// A counter that went back belongs to another program: the process has called exec.
std::uint64_t growth(std::uint64_t now, std::uint64_t before) { return now >= before ? now - before : now; }

}  // namespace

bool ProcessLosses::update(std::uint32_t pid, std::uint64_t root_address, Counts& last, bool first) {
  const auto root = read_root(ProcessMemory(pid), root_address);
  if (!root) return false;
  const Counts now = {root->lost_reentered, root->lost_memory};
  if (!first) {
    sum_.reentered += growth(now.reentered, last.reentered);
    sum_.no_memory += growth(now.no_memory, last.no_memory);
  }
  last = now;
  return true;
}

void ProcessLosses::look(const Copy& copy) {
  const auto [entry, fresh] = last_.try_emplace({copy.pid, copy.root_address});
  if (!update(copy.pid, copy.root_address, entry->second, fresh)) last_.erase(entry);
}

void ProcessLosses::look_again() {
  for (auto entry = last_.begin(); entry != last_.end();) {
    const auto& [pid, root_address] = entry->first;
    entry = update(pid, root_address, entry->second, false) ? std::next(entry) : last_.erase(entry);
  }
}

void ProcessLosses::add_to(Losses& losses) const {
  losses.reentered += sum_.reentered;
  losses.no_memory += sum_.no_memory;
}

}  // namespace waitprobe
