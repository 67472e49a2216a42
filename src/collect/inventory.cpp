// SPDX-License-Identifier: MIT
#include "src/collect/inventory.h"

#include "src/collect/copies.h"
#include "src/collect/process_memory.h"

namespace waitprobe {
namespace {

Carrier look_at(const Copy& copy) {
  Carrier carrier{copy.pid, comm_of(copy.pid), copy.path, std::nullopt, std::nullopt, std::nullopt};
  const ProcessMemory memory(copy.pid);
  const auto root = read_root(memory, copy.root_address);
  if (!root) return carrier;
  const wp_armed& armed = root->armed;
  carrier.armed = (armed.events | armed.batch | armed.backends | armed.self) != 0;
  carrier.clock = root->clock <= WP_CLOCK_DISAGREED ? static_cast<wp_clock>(root->clock) : WP_CLOCK_UNDECIDED;
  carrier.keys = read_keys(memory, *root);
  return carrier;
}

}  // namespace

Result<Inventory> take_inventory(const std::vector<std::uint32_t>& pids) {
  Inventory inventory;
  CopyFinder finder;
  for (const std::uint32_t pid : pids.empty() ? all_pids() : pids) {
    if (!pids.empty()) {
      if (const auto exists = check_exists(pid); !exists) return exists.error();
    }
    const auto copies = finder.find(pid);
    if (!copies && !pids.empty()) return copies.error();
    if (!copies) {
      // Whoever has ended meanwhile is not missing.
      if (start_ticks_of(pid) != 0) inventory.unreadable_cnt++;
      continue;
    }
    if (copies->empty() && !pids.empty()) return no_probes_error(pid);
    for (const Copy& copy : *copies) inventory.carriers.push_back(look_at(copy));
  }
  return inventory;
}

}  // namespace waitprobe
