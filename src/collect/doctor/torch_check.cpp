// SPDX-License-Identifier: MIT
#include "src/collect/doctor/torch_check.h"

#include <unistd.h>

#include <string>
#include <string_view>

#include "src/collect/machine/capabilities.h"
#include "src/collect/process/process_memory.h"

namespace waitprobe {
namespace {

// What PyTorch looks its backend up by, from 2.6 on.
constexpr std::string_view hook = "c10_monitor_wait_counter_dynamic_backend_init_v1";
constexpr const char* start_fix = "start it with: waitprobe run --torch -- python ...";

// Whether a file speaks of the hook, as who calls it and who has it do. Nothing when it cannot be read.
std::optional<bool> names_hook(const FileDescriptor& file) {
  constexpr std::size_t piece = 1 << 20, most_bytes = 64 << 20;
  std::string bytes;
  for (std::size_t at = 0; at < most_bytes;) {
    const std::size_t kept = std::min(bytes.size(), hook.size() - 1);
    bytes.erase(0, bytes.size() - kept);
    bytes.resize(kept + piece);
    const ssize_t got = pread(file.get(), bytes.data() + kept, piece, static_cast<off_t>(at));
    if (got < 0) return std::nullopt;
    bytes.resize(kept + static_cast<std::size_t>(got));
    if (bytes.find(hook) != std::string::npos) return true;
    if (got == 0) break;
    at += static_cast<std::size_t>(got);
  }
  return false;
}

// How many counters an instance knows.
std::optional<std::size_t> count_counters(const LibraryInstance& instance) {
  const ProcessMemory memory(instance.pid);
  const auto root = read_root(memory, instance.root_address);
  const auto keys = root ? read_keys(memory, *root) : std::nullopt;
  return keys ? std::optional(keys->size()) : std::nullopt;
}

}  // namespace

std::optional<Check> check_torch(std::uint32_t pid, const std::vector<Mapping>& mappings,
                                 const std::vector<LibraryInstance>& instances) {
  const char* const name = "PyTorch";
  const Mapping* const pytorch = pytorch_in(mappings);
  if (pytorch == nullptr) return std::nullopt;
  const FileDescriptor file = InstanceFinder::open_mapped(pid, *pytorch);
  const auto looks = file.ok() ? names_hook(file) : std::nullopt;
  if (looks == std::optional(false)) {
    return Check{name, CheckStatus::warning, false,
                 pytorch->path + " does not support backends of wait counters (older than 2.6)", "use PyTorch 2.6 or later"};
  }
  for (const LibraryInstance& instance : instances) {
    const FileDescriptor library = InstanceFinder::open_instance(instance);
    if (!library.ok() || names_hook(library) != std::optional(true)) continue;
    const auto counters = count_counters(instance);
    if (!counters)
      return Check{name, CheckStatus::unknown, false, instance.path + ": its memory cannot be read", reading_rights_fix()};
    if (*counters != 0) {
      return Check{name, CheckStatus::ok, false,
                   std::to_string(*counters) +
                       " of its wait counters have their backend; waits without one (a bare dist.barrier()) cannot be seen",
                   ""};
    }
    return Check{
        name, CheckStatus::unknown, false,
        "no wait counter has a backend: none was used yet, or the first was used before " + instance.path + " was loaded",
        start_fix};
  }
  return Check{name, CheckStatus::warning, false,
               "its wait counters have no backend: libwaitprobe_torch.so is not in the process", start_fix};
}

}  // namespace waitprobe
