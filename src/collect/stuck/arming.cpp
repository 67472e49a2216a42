// SPDX-License-Identifier: MIT
#include "src/collect/stuck/arming.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "src/collect/machine/proc_file.h"
#include "src/collect/machine/tracing_rights.h"
#include "src/collect/machine/uprobe_multi.h"
#include "src/collect/process/fast_nop.h"
#include "src/collect/process/foreign_uprobes.h"

namespace waitprobe {
namespace {

constexpr unsigned semaphore_shift = 32;  // of the semaphore's offset in the event's config, as its format folder says

FileDescriptor open_perf_event(const std::string& path, const UprobePlace& place) {
  const auto type = read_proc_file("/sys/bus/event_source/devices/uprobe/type");
  if (!type) return FileDescriptor();
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = static_cast<__u32>(std::atoi(type->c_str()));
  attributes.config = place.semaphore_offset << semaphore_shift;
  attributes.uprobe_path = reinterpret_cast<__u64>(path.c_str());
  attributes.probe_offset = place.offset;
  // All processes, by way of any one CPU; the event itself is of no interest.
  return FileDescriptor(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
}

// In the way that needs fewer rights. Errors: not ok(), and errno tells why.
FileDescriptor raise_semaphore(const std::string& path, const UprobePlace& place) {
  return has_uprobe_multi() ? attach_nothing(path, place) : open_perf_event(path, place);
}

}  // namespace

void Arming::arm(const LibraryInstance& instance) {
  const auto [entry, is_new] = events_.try_emplace(instance.probes->on_disk);
  if (!is_new) return;
  auto event = open_event(instance);
  if (event) {
    entry->second = std::move(*event);
  } else {
    warnings_.push_back(event.error());
  }
}

Result<FileDescriptor> Arming::open_event(const LibraryInstance& instance) {
  const std::string what = "attach to probe waitprobe:wait_block of";
  if (instance.probes->notes != Notes::whole) return untraceable_error(*instance.probes, instance.path);
  const UsdtSite* site = instance.probes->find("wait_block");
  if (site == nullptr)
    return Error{what, instance.path, "the file does not have it", "it was built with another version of waitprobe"};
  if (auto safe = before_->check(*instance.probes, instance.path, warnings_); !safe) return safe.error();
  const FileDescriptor file = InstanceFinder::open_instance(instance);
  if (!file.ok())
    return Error{"open", instance.path + " of " + describe_process(instance.pid),
                 "it ended or unmapped the file, or permission was denied", ""};
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  FileDescriptor event = raise_semaphore(path, {attach_offset(*site), site->semaphore_offset});
  if (event.ok()) return event;
  const int why = errno;
  Error error{what, instance.path, errno_text(why), why == EPERM || why == EACCES ? tracing_rights_fix() : ""};
  if (why == EINVAL) explain_foreign_uprobe(path, *site, error);
  return error;
}

}  // namespace waitprobe
