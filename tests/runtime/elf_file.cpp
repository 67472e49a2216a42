// SPDX-License-Identifier: MIT
#include "tests/runtime/elf_file.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace test {
namespace {

template <typename Visit>
void each_section(Elf* elf, Visit visit) {
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr) visit(section, header);
  }
}

std::string section_name(Elf* elf, const GElf_Shdr& header) {
  std::size_t names = 0;
  elf_getshdrstrndx(elf, &names);
  const char* name = elf_strptr(elf, names, header.sh_name);
  return name != nullptr ? name : "";
}

// The description of a note of type 3 of "stapsdt": three addresses, three strings.
Note parse(const char* desc) {
  Note note;
  std::uint64_t base = 0;
  std::memcpy(&note.pc, desc, 8);
  std::memcpy(&base, desc + 8, 8);
  std::memcpy(&note.semaphore, desc + 16, 8);
  const char* text = desc + 24;
  note.provider = text;
  note.probe = text += note.provider.size() + 1;
  note.args = text + note.probe.size() + 1;
  return note;
}

template <typename Visit>
void each_dynamic(Elf* elf, Visit visit) {
  each_section(elf, [&](Elf_Scn* section, const GElf_Shdr& header) {
    if (header.sh_type != SHT_DYNAMIC) return;
    Elf_Data* data = elf_getdata(section, nullptr);
    GElf_Dyn entry;
    for (int i = 0; gelf_getdyn(data, i, &entry) != nullptr && entry.d_tag != DT_NULL; i++) visit(header, entry);
  });
}

}  // namespace

ElfFile::ElfFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)), elf_(nullptr) {
  elf_version(EV_CURRENT);
  elf_ = elf_begin(fd_, ELF_C_READ, nullptr);
  if (elf_ == nullptr || elf_kind(elf_) != ELF_K_ELF) throw std::runtime_error(path + ": not an ELF file");
}

ElfFile::~ElfFile() {
  elf_end(elf_);
  close(fd_);
}

std::vector<Note> ElfFile::notes() const {
  std::vector<Note> result;
  each_section(elf_, [&](Elf_Scn* section, const GElf_Shdr& header) {
    if (header.sh_type != SHT_NOTE || section_name(elf_, header) != ".note.stapsdt") return;
    Elf_Data* data = elf_getdata(section, nullptr);
    const char* bytes = static_cast<const char*>(data->d_buf);
    GElf_Nhdr note;
    std::size_t name = 0;
    std::size_t desc = 0;
    for (std::size_t at = 0; (at = gelf_getnote(data, at, &note, &name, &desc)) > 0;) {
      if (note.n_type == 3 && std::strcmp(bytes + name, "stapsdt") == 0) result.push_back(parse(bytes + desc));
    }
  });
  return result;
}

std::vector<Symbol> ElfFile::symbols(std::uint32_t section_type) const {
  std::vector<Symbol> result;
  each_section(elf_, [&](Elf_Scn* section, const GElf_Shdr& header) {
    if (header.sh_type != section_type) return;
    Elf_Data* data = elf_getdata(section, nullptr);
    GElf_Sym symbol;
    for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr; i++) {
      const char* name = elf_strptr(elf_, header.sh_link, symbol.st_name);
      result.push_back({name != nullptr ? name : "", symbol.st_shndx != SHN_UNDEF, symbol.st_value});
    }
  });
  return result;
}

std::vector<std::string> ElfFile::needed() const {
  std::vector<std::string> result;
  each_dynamic(elf_, [&](const GElf_Shdr& header, const GElf_Dyn& entry) {
    if (entry.d_tag == DT_NEEDED) result.emplace_back(elf_strptr(elf_, header.sh_link, entry.d_un.d_val));
  });
  return result;
}

std::vector<Segment> ElfFile::segments() const {
  std::size_t n = 0;
  elf_getphdrnum(elf_, &n);
  std::vector<Segment> result;
  for (std::size_t i = 0; i < n; i++) {
    GElf_Phdr header;
    if (gelf_getphdr(elf_, static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
    result.push_back({header.p_vaddr, header.p_offset, header.p_filesz, (header.p_flags & PF_W) != 0});
  }
  return result;
}

std::uint64_t ElfFile::flags_1() const {
  std::uint64_t flags = 0;
  each_dynamic(elf_, [&](const GElf_Shdr&, const GElf_Dyn& entry) {
    if (entry.d_tag == DT_FLAGS_1) flags = entry.d_un.d_val;
  });
  return flags;
}

std::vector<std::uint8_t> ElfFile::bytes(std::uint64_t address, std::size_t n) const {
  std::vector<std::uint8_t> result;
  each_section(elf_, [&](Elf_Scn* section, const GElf_Shdr& header) {
    if ((header.sh_flags & SHF_ALLOC) == 0 || header.sh_type == SHT_NOBITS) return;
    if (address < header.sh_addr || address >= header.sh_addr + header.sh_size) return;
    Elf_Data* data = elf_rawdata(section, nullptr);
    const auto* from = static_cast<const std::uint8_t*>(data->d_buf) + (address - header.sh_addr);
    result.assign(from, from + std::min<std::uint64_t>(n, header.sh_addr + header.sh_size - address));
  });
  return result;
}

}  // namespace test
