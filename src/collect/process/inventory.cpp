// SPDX-License-Identifier: MIT
#include "src/collect/process/inventory.h"

#include "src/collect/process/copies.h"
#include "src/collect/process/process_memory.h"

namespace waitprobe {
namespace {

Carrier look_at(const Copy& copy) {
  Carrier carrier{copy.pid, comm_of(copy.pid), copy.path, std::nullopt, std::nullopt, std::nullopt, {}};
  if (copy.probes->notes != Notes::whole) carrier.untraceable = untraceable_error(*copy.probes, copy.path).why;
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
  CopyFinder finder;
  const auto found = finder.find_all(pids);
  if (!found) return found.error();
  Inventory inventory;
  inventory.unseen = found->unseen;
  for (const Copy& copy : found->copies) inventory.carriers.push_back(look_at(copy));
  return inventory;
}

}  // namespace waitprobe
