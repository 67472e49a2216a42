// SPDX-License-Identifier: MIT
#include "src/collect/process/elf_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace waitprobe {

bool is_modest(int fd) {
  Elf64_Ehdr header;
  if (pread(fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) return true;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return true;
  return (header.e_shnum != 0 || header.e_shoff == 0) && header.e_phnum != PN_XNUM;
}

ElfHandle open_elf(int fd) {
  if (!is_modest(fd)) return nullptr;
  elf_version(EV_CURRENT);
  // Read, not mapped: a file that is cut off meanwhile would end the tool.
  ElfHandle elf(elf_begin(fd, ELF_C_READ, nullptr));
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getclass(elf.get()) != ELFCLASS64) return nullptr;
  return elf;
}

bool ElfSegments::holds(std::uint64_t address) const {
  return std::any_of(loads.begin(), loads.end(),
                     [&](const GElf_Phdr& load) { return address >= load.p_vaddr && address - load.p_vaddr < load.p_memsz; });
}

std::uint64_t ElfSegments::to_offset(std::uint64_t address) const {
  for (const GElf_Phdr& load : loads) {
    if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz) return address - load.p_vaddr + load.p_offset;
  }
  return 0;
}

std::optional<std::uint64_t> ElfSegments::to_address(std::uint64_t offset, std::uint32_t flags) const {
  for (const GElf_Phdr& load : loads) {
    if ((load.p_flags & flags) != flags || offset < load.p_offset || offset - load.p_offset >= load.p_filesz) continue;
    return offset - load.p_offset + load.p_vaddr;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> ElfSegments::load_bias(const Mapping& mapping, std::uint32_t flags) const {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const GElf_Phdr& load : loads) {
    if ((load.p_flags & flags) != flags || mapping.offset < load.p_offset / page * page ||
        mapping.offset >= load.p_offset + load.p_filesz) {
      continue;
    }
    return mapping.start - (load.p_vaddr - load.p_offset + mapping.offset);
  }
  return std::nullopt;
}

bool ElfSegments::shares_writable_page(std::uint64_t offset) const {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::size_t count = 0;
  for (const GElf_Phdr& load : loads) {
    const std::uint64_t first = load.p_offset / page, end = (load.p_offset + load.p_filesz + page - 1) / page;
    count += (load.p_flags & PF_W) != 0 && offset / page >= first && offset / page < end;
  }
  return count > 1;
}

ElfSegments load_segments(Elf* elf) {
  ElfSegments segments;
  std::size_t count = 0;
  elf_getphdrnum(elf, &count);
  for (std::size_t i = 0; i < count; i++) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) != nullptr && header.p_type == PT_LOAD)
      segments.loads.push_back(header);
  }
  return segments;
}

}  // namespace waitprobe
