// SPDX-License-Identifier: MIT
#include "src/collect/machine/kernel_features.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "src/collect/machine/file_descriptor.h"

namespace waitprobe {
namespace {

constexpr const char* path = "/sys/kernel/btf/vmlinux";

}  // namespace

std::optional<std::string> read_type_information() {
  const FileDescriptor file(open(path, O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  std::string types;
  if (file.ok() && fstat(file.get(), &status) == 0) types.resize(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < types.size()) {
    const ssize_t got = read(file.get(), types.data() + done, types.size() - done);  // a page at a time
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  if (types.empty() || done != types.size()) return std::nullopt;
  return types;
}

// Each name stands between two zero bytes. To parse it all takes 40 ms.
bool has_name(std::string_view types, std::string_view name) {
  const std::string whole = '\0' + std::string(name) + '\0';
  return memmem(types.data(), types.size(), whole.data(), whole.size()) != nullptr;
}

Result<KernelFeatures> read_kernel_features(const TracefsFolder& tracefs) {
  const auto at_exit = tracefs.read("events/sched/sched_process_exit/format");
  if (!at_exit) return Error{"read", "events/sched/sched_process_exit/format of tracefs", errno_text(errno), ""};
  KernelFeatures features;
  features.exec_is_announced = tracefs.read("events/sched/sched_prepare_exec/id").has_value();
  // It came to say whether the whole process ends in the change that moved it.
  features.exit_is_early = at_exit->find(" group_dead;") != std::string::npos;
  return features;
}

}  // namespace waitprobe
