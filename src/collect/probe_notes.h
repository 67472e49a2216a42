// SPDX-License-Identifier: MIT
//
// Which probes of provider `waitprobe` a file carries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/elf_file.h"
#include "src/collect/file_descriptor.h"
#include "src/collect/process.h"
#include "src/collect/usdt_sites.h"
#include "src/model/result.h"

namespace waitprobe {

struct ProbeFile {
  FileId on_disk;  // as stat() names it
  std::vector<UsdtSite> sites;
  bool shares_semaphore_page = false;  // of any of them: UsdtSite::shares_semaphore_page
  ElfSegments segments;

  // Of struct wp_root: where the semaphore of wait_stop is.
  std::uint64_t root_offset() const;
  // The address that the file gives it, in the segment that is mapped writable; 0 when it is in none.
  std::uint64_t root_address() const;
  const UsdtSite* find(const std::string& name) const;
};

// The waitprobe probes of an open file, or nothing if it is an ELF file without them. Errors: not an ELF file of 64 bits.
Result<std::optional<ProbeFile>> read_probe_notes(int fd, const std::string& file_name);

// A file that somebody has named, for whose probes all processes are asked.
struct OpenProbeFile {
  FileDescriptor file;
  ProbeFile probes;
};

// Errors: it cannot be opened, or carries no probes.
Result<OpenProbeFile> open_probe_file(const std::string& path);

}  // namespace waitprobe
