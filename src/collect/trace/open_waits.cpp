// SPDX-License-Identifier: MIT
#include "src/collect/trace/open_waits.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "src/collect/machine/clock.h"
#include "src/collect/process/open_slots.h"
#include "src/collect/process/process.h"
#include "src/collect/process/process_memory.h"
#include "src/collect/process/time_namespace.h"
#include "src/model/trace_id.h"

namespace waitprobe {
namespace {

// One instance, of whose counters each is read once.
class Reader {
 public:
  Reader(const SlotClock& clock, std::uint32_t pid)
      : clock_(clock), memory_(pid), pid_(pid), comm_(comm_of(pid)), ahead_ns_(monotonic_ahead_of_ours(pid)) {}

  // False: there are more than were read.
  bool read(std::uint64_t root_address, OpenWaits& to) {
    const auto root = read_root(memory_, root_address);
    const auto arena = root ? read_arena(memory_, *root) : std::nullopt;
    if (!arena) return true;
    const OpenSlots open = read_open_slots(memory_, *root, *arena);
    for (const OpenSlot& slot : open.slots) {
      if (auto wait = describe(slot)) to.waits.push_back(std::move(*wait));
    }
    return open.are_all;
  }

  const std::string& comm() const { return comm_; }

 private:
  std::optional<OpenWait> describe(const OpenSlot& slot) {
    const auto [entry, is_new] = counters_.try_emplace(slot.counter);
    if (is_new) entry->second = read_counter(memory_, slot.counter);
    const auto& name = entry->second;
    if (!name) return std::nullopt;
    OpenWait wait;
    wait.pid = pid_;
    wait.comm = comm_;
    wait.key = name->key;
    wait.key_len = name->key_len;
    wait.key_class = class_of_flags(name->flags);
    wait.wait_id = slot.wait_id;
    wait.trace_id = trace_id_text(slot.trace);
    if (const auto start_ns = clock_.start_ns(slot, ahead_ns_)) {
      // An offset may have made it a moment before our clock began.
      const auto age_ns = static_cast<std::int64_t>(now_ns() - *start_ns);
      wait.age_ns = wait.order = age_ns > 0 ? static_cast<std::uint64_t>(age_ns) : 0;
    }
    return wait;
  }

  const SlotClock& clock_;
  ProcessMemory memory_;
  std::uint32_t pid_;
  std::string comm_;
  std::optional<std::uint64_t> ahead_ns_;
  std::map<std::uint64_t, std::optional<CounterName>> counters_;
};

}  // namespace

OpenWaits open_waits_of(const EachInstance& each_instance) {
  OpenWaits to;
  to.time_unix_ns = clock_ns(CLOCK_REALTIME);
  const SlotClock clock = SlotClock::measure();
  std::map<std::uint32_t, std::string> crowded;
  each_instance([&](std::uint32_t pid, std::uint64_t root_address) {
    Reader reader(clock, pid);
    if (!reader.read(root_address, to)) crowded.emplace(pid, reader.comm());
  });
  for (auto& [pid, comm] : crowded) to.crowded.push_back({pid, std::move(comm)});
  std::stable_sort(to.waits.begin(), to.waits.end(), [](const OpenWait& a, const OpenWait& b) { return a.order > b.order; });
  return to;
}

}  // namespace waitprobe
