// SPDX-License-Identifier: MIT
#include "src/collect/trace/attachments.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <iterator>
#include <thread>

#include "src/collect/machine/clock.h"
#include "src/collect/process/fast_nop.h"
#include "src/collect/process/foreign_uprobes.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_closing = 256;  // threads at once

// The kernel and libbpf open the file themselves, by a path. The one people know, so that it shows in other tools, if it still
// leads to this file; else the one of the descriptor.
std::string path_to(const FileDescriptor& file, const std::string& known_as) {
  struct stat is, would_be;
  // Not a bare name, which libbpf would look for in PATH.
  const bool same = known_as.starts_with('/') && fstat(file.get(), &is) == 0 && stat(known_as.c_str(), &would_be) == 0 &&
                    is.st_dev == would_be.st_dev && is.st_ino == would_be.st_ino;
  return same ? known_as : "/proc/self/fd/" + std::to_string(file.get());
}

}  // namespace

Result<void> Attachments::attach(const LibraryInstance& instance) {
  if (has(*instance.probes)) return {};
  const FileDescriptor file = InstanceFinder::open_instance(instance);
  if (file.ok()) return attach(*instance.probes, file, instance.path);
  return Error{"open", instance.path + " of " + describe_process(instance.pid),
               "it ended or unmapped the file, or permission was denied", ""};
}

Result<void> Attachments::attach(const ProbeFile& file, const FileDescriptor& opened, const std::string& shown_as) {
  if (has(file)) return {};
  const std::string path = path_to(opened, shown_as);
  std::vector<UprobeLink> links;
  for (const auto& program : programs_) {
    auto link = attach(program, file, path, shown_as);
    if (!link) return link.error();
    links.push_back(std::move(*link));
  }
  links_[file.on_disk] = {std::move(links), now_ns(), FileDescriptor(fcntl(opened.get(), F_DUPFD_CLOEXEC, 0))};
  return {};
}

std::uint64_t Attachments::since_ns(const ProbeFile& file) const {
  const auto found = links_.find(file.on_disk);
  return found != links_.end() ? found->second.since_ns : UINT64_MAX;
}

Result<UprobeLink> Attachments::attach(const ProbeProgram& program, const ProbeFile& file, const std::string& path,
                                       const std::string& shown_as) {
  const std::string what = "attach to probe waitprobe:" + std::string(program.probe) + " of";
  const UsdtSite* site = file.find(program.probe);
  if (site == nullptr)
    return Error{what, shown_as, "the file does not have it", "it was built with another version of waitprobe"};
  if (!passes_parameters(*site)) {
    return Error{what, shown_as, "its arguments are not where they are read: " + site->arguments,
                 "build libwaitprobe by its CMakeLists.txt, which has rules for src/runtime/probes.cpp"};
  }
  UprobeLink link = UprobeLink::attach(program.program, path, {attach_offset(*site), site->semaphore_offset});
  if (link.ok()) return link;
  const int why = errno;
  Error error{what, shown_as, errno_text(why), ""};
  if (why == EINVAL) explain_foreign_uprobe(path, *site, error);
  return error;
}

// To close a link is to wait until no CPU runs its program any more: many waits together take hardly longer than one. Where a
// limit allows no more threads (pids.max, ulimit -u, ulimit -v), as many as it allows have to do, or one after the other.
void Attachments::close(std::span<UprobeLink> uprobes, std::span<TracepointLink> tracepoints) {
  std::vector<std::jthread> closing;
  const auto close_one = [&closing](auto& link) {
    if (closing.size() == most_closing) closing.clear();
    while (true) {
      try {
        closing.emplace_back([&link] { link.detach(); });
        return;
      } catch (const std::exception&) {
        if (closing.empty()) return link.detach();
        closing.clear();
      }
    }
  };
  std::for_each(uprobes.begin(), uprobes.end(), close_one);
  std::for_each(tracepoints.begin(), tracepoints.end(), close_one);
}

void Attachments::drop_deleted(const std::set<FileId>& mapped) {
  std::vector<UprobeLink> gone;
  for (auto entry = links_.begin(); entry != links_.end();) {
    auto& [file, attached] = *entry;
    struct stat status = {};
    const bool is_gone = !mapped.contains(file) && fstat(attached.file.get(), &status) == 0 && status.st_nlink == 0;
    if (is_gone) std::move(attached.links.begin(), attached.links.end(), std::back_inserter(gone));
    entry = is_gone ? links_.erase(entry) : std::next(entry);
  }
  close(gone, {});
}

void Attachments::detach(std::span<TracepointLink> tracepoints) {
  std::vector<UprobeLink> all;
  for (auto& [file, attached] : links_) std::move(attached.links.begin(), attached.links.end(), std::back_inserter(all));
  close(all, tracepoints);
  links_.clear();
}

}  // namespace waitprobe
