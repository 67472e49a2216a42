// SPDX-License-Identifier: MIT
#include "src/collect/process/probe_notes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "src/collect/process/root_search.h"

namespace waitprobe {

const UsdtSite* ProbeFile::find(const std::string& name) const {
  for (const UsdtSite& site : sites) {
    if (site.name == name) return &site;
  }
  return nullptr;
}

Error untraceable_error(const ProbeFile& file, const std::string& file_name) {
  if (file.notes == Notes::doubled) {
    return Error{"trace", file_name,
                 "it carries each probe of waitprobe twice: two instances of the library were linked into it",
                 "link libwaitprobe into it once"};
  }
  return Error{"trace", file_name, "it carries waitprobe, but the notes of its probes (section .note.stapsdt) were stripped",
               "llvm-strip removes them; use strip of binutils, or llvm-strip --keep-section=.note.stapsdt"};
}

Result<std::optional<ProbeFile>> read_probe_notes(int fd, const std::string& file_name) {
  auto sites = read_usdt_sites(fd, file_name);
  if (!sites) return sites.error();
  ProbeFile file;
  struct stat status;
  if (fstat(fd, &status) == 0) file.on_disk = {status.st_dev, status.st_ino};
  for (UsdtSite& site : sites->value_or(std::vector<UsdtSite>())) {
    if (site.provider != "waitprobe") continue;
    // Each stands once. A file that says otherwise would be attached to as often as it likes.
    if (file.find(site.name) != nullptr) file.notes = Notes::doubled;
    if (file.notes == Notes::doubled) break;
    file.shares_semaphore_page |= site.shares_semaphore_page;
    file.sites.push_back(std::move(site));
  }
  if (const ElfHandle elf = open_elf(fd)) file.segments = load_segments(elf.get());
  if (file.sites.empty()) file.notes = Notes::stripped;
  if (file.notes == Notes::whole) {
    const UsdtSite* const stop = file.find("wait_stop");
    if (stop != nullptr && stop->semaphore_offset != 0) file.root_offsets = {stop->semaphore_offset};
    return std::optional<ProbeFile>(std::move(file));
  }
  file.sites.clear();
  file.root_offsets = find_roots_in_file(fd);
  if (!file.has_root() && file.notes == Notes::stripped) return std::optional<ProbeFile>();
  return std::optional<ProbeFile>(std::move(file));
}

Result<OpenProbeFile> open_carrier(const std::string& path) {
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

Result<OpenProbeFile> open_probe_file(const std::string& path) {
  auto opened = open_carrier(path);
  if (opened && opened->probes.notes != Notes::whole) return untraceable_error(opened->probes, path);
  return opened;
}

}  // namespace waitprobe
