// SPDX-License-Identifier: MIT
//
// Which probes of provider `waitprobe` a file carries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/process/elf_file.h"
#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/process.h"
#include "src/collect/process/usdt_sites.h"
#include "src/model/result.h"

namespace waitprobe {

// Whether the probes of a file with the library can be traced.
enum class Notes {
  whole,     // yes
  stripped,  // the notes that tell where they are have gone
  doubled,   // each stands there more than once: two instances of the library were linked into one file
};

struct ProbeFile {
  FileId on_disk;  // as stat() names it
  Notes notes = Notes::whole;
  std::vector<UsdtSite> sites;  // none unless the notes are whole
  // Of each struct wp_root: where the semaphore of wait_stop is, or found by its magic.
  std::vector<std::uint64_t> root_offsets;
  bool shares_semaphore_page = false;  // of any of them: UsdtSite::shares_semaphore_page
  ElfSegments segments;

  const UsdtSite* find(const std::string& name) const;
  bool has_root() const { return !root_offsets.empty(); }
  std::uint64_t root_offset() const { return has_root() ? root_offsets.front() : 0; }
};

// Why the probes of such a file cannot be traced, and what to do. REQUIRES: its notes are not whole.
Error untraceable_error(const ProbeFile& file, const std::string& file_name);

// What an open file has of waitprobe, or nothing if it is an ELF file without it. Errors: not an ELF file of 64 bits.
Result<std::optional<ProbeFile>> read_probe_notes(int fd, const std::string& file_name);

// A file that somebody has named, for whose probes all processes are asked.
struct OpenProbeFile {
  FileDescriptor file;
  ProbeFile probes;
};

// Errors: it cannot be opened, or does not carry the library.
Result<OpenProbeFile> open_carrier(const std::string& path);

// Errors: as those of open_carrier(), or its probes cannot be traced.
Result<OpenProbeFile> open_probe_file(const std::string& path);

}  // namespace waitprobe
