// SPDX-License-Identifier: MIT
#include "src/collect/process/inventory.h"

#include "src/collect/process/library_instances.h"
#include "src/collect/process/process_memory.h"

namespace waitprobe {
namespace {

Carrier look_at(const LibraryInstance& instance) {
  Carrier carrier{instance.pid, comm_of(instance.pid), instance.path, std::nullopt, std::nullopt, std::nullopt, {}, {}};
  if (instance.probes->notes != Notes::whole) carrier.untraceable = untraceable_error(*instance.probes, instance.path).why;
  const ProcessMemory memory(instance.pid);
  const auto root = read_root(memory, instance.root_address);
  if (!root) return carrier;
  const wp_armed& armed = root->armed;
  carrier.armed = (armed.events | armed.batch | armed.backends | armed.self) != 0;
  carrier.traced = (armed.events | armed.batch) != 0;
  carrier.clock = root->clock <= WP_CLOCK_DISAGREED ? static_cast<wp_clock>(root->clock) : WP_CLOCK_UNDECIDED;
  carrier.keys = read_keys(memory, *root);
  return carrier;
}

}  // namespace

Result<Inventory> take_inventory(const std::vector<std::uint32_t>& pids) {
  InstanceFinder finder;
  const auto found = finder.find_all(pids);
  if (!found) return found.error();
  Inventory inventory;
  inventory.unseen = found->unseen;
  for (const LibraryInstance& instance : found->instances) inventory.carriers.push_back(look_at(instance));
  return inventory;
}

}  // namespace waitprobe
