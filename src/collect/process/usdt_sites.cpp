// SPDX-License-Identifier: MIT
#include "src/collect/process/usdt_sites.h"

#include <gelf.h>
#include <unistd.h>

#include <cstring>

#include "src/collect/process/elf_file.h"
#include "src/collect/machine/kernel_features.h"
#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

constexpr std::uint32_t sdt_note_type = 3;

struct Section {
  Elf_Scn* scn = nullptr;
  GElf_Shdr header = {};
};

Section find_section(Elf* elf, std::string_view wanted) {
  std::size_t names = 0;
  GElf_Shdr of_names;
  if (elf_getshdrstrndx(elf, &names) != 0 || gelf_getshdr(elf_getscn(elf, names), &of_names) == nullptr) return {};
  if (of_names.sh_size > most_section_bytes || (of_names.sh_flags & SHF_COMPRESSED) != 0) return {};
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(scn, &header) == nullptr) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && wanted == name) return {scn, header};
  }
  return {};
}

// A note holds three addresses (probe, base, semaphore), then provider, name and arguments, each ending in a zero byte. `slide`
// is how far the file was moved after the notes were written (prelink): where the section .stapsdt.base is now, less `base`.
std::optional<UsdtSite> parse_note(std::string_view desc, std::uint64_t base_now, const ElfSegments& segments) {
  std::uint64_t addresses[3];
  if (desc.size() < sizeof addresses) return std::nullopt;
  std::memcpy(addresses, desc.data(), sizeof addresses);
  desc.remove_prefix(sizeof addresses);
  const std::size_t provider_end = desc.find('\0');
  if (provider_end == std::string_view::npos) return std::nullopt;
  const std::uint64_t slide = base_now != 0 ? base_now - addresses[1] : 0;
  UsdtSite site;
  site.provider = desc.substr(0, provider_end);
  desc.remove_prefix(provider_end + 1);
  const std::size_t name_end = desc.find('\0');
  site.name = desc.substr(0, name_end);
  if (name_end != std::string_view::npos) {
    desc.remove_prefix(name_end + 1);
    site.arguments = desc.substr(0, desc.find('\0'));
  }
  site.offset = segments.to_offset(addresses[0] + slide);
  site.semaphore_offset = addresses[2] != 0 ? segments.to_offset(addresses[2] + slide) : 0;
  site.shares_semaphore_page = site.semaphore_offset != 0 && segments.shares_writable_page(site.semaphore_offset);
  return site;
}

bool has_long_nops(int fd, std::uint64_t offset) {
  constexpr std::string_view nops("\x90\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00\x0f\x1f\x44\x00\x00", 16);
  char code[nops.size()];
  const ssize_t got = pread(fd, code, sizeof code, static_cast<off_t>(offset));
  return got == sizeof code && std::string_view(code, sizeof code) == nops;
}

}  // namespace

bool passes_parameters(const UsdtSite& site) {
#if defined(__x86_64__)
  constexpr std::string_view registers = "8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8";
#else
  constexpr std::string_view registers = "8@x0 8@x1 8@x2 8@x3 8@x4";
#endif
  return registers.starts_with(site.arguments) &&
         (site.arguments.size() == registers.size() || registers[site.arguments.size()] == ' ');
}

Result<std::optional<std::vector<UsdtSite>>> read_usdt_sites(int fd, const std::string& file_name) {
  using Sites = std::optional<std::vector<UsdtSite>>;
  if (!is_modest(fd)) return Sites();
  const ElfHandle elf = open_elf(fd);
  if (elf == nullptr) {
    return Error{"find probes in", file_name, "it is not an executable or shared library of 64 bits", ""};
  }
  const Section notes = find_section(elf.get(), ".note.stapsdt");
  const bool plausible = notes.scn != nullptr && notes.header.sh_size <= most_section_bytes;
  Elf_Data* data = plausible ? elf_getdata(notes.scn, nullptr) : nullptr;
  if (data == nullptr) return Sites();

  const ElfSegments segments = load_segments(elf.get());
  const std::uint64_t base_now = find_section(elf.get(), ".stapsdt.base").header.sh_addr;
  std::vector<UsdtSite> sites;
  GElf_Nhdr header;
  std::size_t name = 0, desc = 0;
  for (std::size_t at = 0; (at = gelf_getnote(data, at, &header, &name, &desc)) > 0;) {
    if (header.n_type != sdt_note_type) continue;
    const std::string_view text(static_cast<const char*>(data->d_buf) + desc, header.n_descsz);
    auto site = parse_note(text, base_now, segments);
    if (!site) continue;
    site->has_long_nops = site->provider == "waitprobe" && has_long_nops(fd, site->offset);
    sites.push_back(std::move(*site));
  }
  return Sites(std::move(sites));
}

bool may_become_call(std::string_view code) {
  constexpr std::string_view five_byte_nop("\x0f\x1f\x44\x00\x00", 5);
  if (code.starts_with('\x90')) code.remove_prefix(1);
  return code.starts_with(five_byte_nop);
}

std::optional<bool> makes_calls_of_nops(const std::optional<std::string>& symbols, const std::optional<std::string>& types) {
  if (symbols && !symbols->empty()) return symbols->find(" arch_uprobe_optimize\n") != std::string::npos;
  if (types && !types->empty()) return has_name(*types, "arch_uprobe_optimize");
  return std::nullopt;
}

std::optional<bool> makes_calls_of_nops() {
#if defined(__x86_64__)
  return makes_calls_of_nops(read_proc_file("/proc/kallsyms"), read_type_information());
#else
  return false;
#endif
}

}  // namespace waitprobe
