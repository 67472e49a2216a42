// SPDX-License-Identifier: MIT
#include "src/collect/probe_notes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace waitprobe {

const UsdtSite* ProbeFile::find(const std::string& name) const {
  for (const UsdtSite& site : sites) {
    if (site.name == name) return &site;
  }
  return nullptr;
}

std::uint64_t ProbeFile::root_offset() const {
  const UsdtSite* stop = find("wait_stop");
  return stop != nullptr ? stop->semaphore_offset : 0;
}

std::uint64_t ProbeFile::root_address() const { return segments.to_address(root_offset(), PF_W).value_or(0); }

Result<std::optional<ProbeFile>> read_probe_notes(int fd, const std::string& file_name) {
  auto sites = read_usdt_sites(fd, file_name);
  if (!sites) return sites.error();
  ProbeFile file;
  struct stat status;
  if (fstat(fd, &status) == 0) file.on_disk = {status.st_dev, status.st_ino};
  for (UsdtSite& site : sites->value_or(std::vector<UsdtSite>())) {
    if (site.provider != "waitprobe") continue;
    // Each stands once. A file that says otherwise would be attached to as often as it likes.
    if (file.find(site.name) != nullptr) return std::optional<ProbeFile>();
    file.shares_semaphore_page |= site.shares_semaphore_page;
    file.sites.push_back(std::move(site));
  }
  if (file.sites.empty()) return std::optional<ProbeFile>();
  if (const ElfHandle elf = open_elf(fd)) file.segments = load_segments(elf.get());
  return std::optional<ProbeFile>(std::move(file));
}

Result<OpenProbeFile> open_probe_file(const std::string& path) {
  OpenProbeFile opened{FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), {}};
  if (!opened.file.ok()) return Error{"open", path, errno_text(errno), ""};
  auto notes = read_probe_notes(opened.file.get(), path);
  if (!notes) return notes.error();
  if (!notes->has_value()) {
    return Error{"trace", path, "it carries no probes of waitprobe", "link it with libwaitprobe, or name the library that is"};
  }
  opened.probes = std::move(**notes);
  return opened;
}

}  // namespace waitprobe
