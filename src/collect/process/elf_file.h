// SPDX-License-Identifier: MIT
//
// ELF files of other people's processes, which may say anything.
#pragma once

#include <gelf.h>
#include <libelf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "src/collect/process/process.h"

namespace waitprobe {

constexpr std::uint64_t most_section_bytes = 16 << 20;  // of a section that is read

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfEnd>;

// Whether the header's counts are plain numbers. The extended ones, of 32 bits, let a small file ask for gigabytes of memory;
// real programs have neither. True for what is no ELF file.
bool is_modest(int fd);

// Null when it is no ELF file of 64 bits, or not a modest one. Lifetime: the descriptor must outlive it.
ElfHandle open_elf(int fd);

// What of the file is loaded.
struct ElfSegments {
  std::vector<GElf_Phdr> loads;

  // Whether the address is in a segment, what is no part of the file (.bss) included.
  bool holds(std::uint64_t address) const;

  // 0 when the address is in no segment.
  std::uint64_t to_offset(std::uint64_t address) const;

  // The address that the file gives to what stands at an offset, in a segment of which the loader needs all these flags
  // (PF_...).
  std::optional<std::uint64_t> to_address(std::uint64_t offset, std::uint32_t flags) const;

  // What has to be added to the addresses that the file speaks of, by one of its mappings; nothing when that is of no segment
  // of which the loader needs all these flags (PF_...).
  std::optional<std::uint64_t> load_bias(const Mapping& mapping, std::uint32_t flags = 0) const;

  // Whether more than one segment that is mapped writable shows the page of the file that holds this offset.
  bool shares_writable_page(std::uint64_t offset) const;
};

ElfSegments load_segments(Elf* elf);

}  // namespace waitprobe
