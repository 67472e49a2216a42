// SPDX-License-Identifier: MIT
#include "src/collect/environment.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "src/collect/copies.h"
#include "src/collect/elf_file.h"
#include "src/collect/process.h"
#include "src/collect/process_memory.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_value_bytes = 256;
constexpr std::size_t most_variables = 16'384;  // that a process can make us look at
// When a process is looked at again: which takes up to a millisecond.
constexpr std::uint64_t first_ns = 10'000'000, last_ns = 5'000'000'000;

std::string_view file_name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// The address that a file gives to libc's `environ`; nothing when it does not define it.
std::optional<std::uint64_t> environ_in(Elf* elf) {
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(scn, &header) == nullptr || (header.sh_type != SHT_DYNSYM && header.sh_type != SHT_SYMTAB)) continue;
    if (header.sh_size > most_section_bytes || header.sh_entsize == 0 || (header.sh_flags & SHF_COMPRESSED) != 0) continue;
    Elf_Data* data = elf_getdata(scn, nullptr);
    if (data == nullptr) continue;
    for (int i = 0; i < static_cast<int>(header.sh_size / header.sh_entsize); i++) {
      GElf_Sym symbol;
      if (gelf_getsym(data, i, &symbol) == nullptr) break;
      if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT) continue;
      const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (name != nullptr && (name == std::string_view("environ") || name == std::string_view("__environ")))
        return symbol.st_value;
    }
  }
  return std::nullopt;
}

// Where the process keeps the pointer to its environment. An executable that uses it may have it instead of libc.
std::optional<std::uint64_t> find_environ(std::uint32_t pid) {
  const auto mappings = file_mappings(pid);
  if (!mappings || mappings->empty()) return std::nullopt;
  FileId last;
  for (const Mapping& mapping : *mappings) {
    const std::string_view name = file_name_of(mapping.path);
    const bool is_candidate = mapping.file == mappings->front().file || name.starts_with("libc.so") ||
                              name.starts_with("libc-") || name.starts_with("ld-musl-");
    if (mapping.file == last || !is_candidate) continue;
    last = mapping.file;
    const FileDescriptor file = CopyFinder::open_mapped(pid, mapping);
    if (!file.ok() || !is_modest(file.get())) continue;
    const ElfHandle elf = open_elf(file.get());
    if (elf == nullptr) continue;
    const auto address = environ_in(elf.get());
    const auto bias = load_bias(elf.get(), mapping);
    if (address && bias) return *address + *bias;
  }
  return std::nullopt;
}

// As many bytes of a string as there are, up to its end.
std::string read_string(const Memory& memory, std::uint64_t address) {
  std::string text;
  std::array<char, 64> part;
  while (text.size() < most_value_bytes) {
    // Never over the end of a page, beyond which there may be nothing.
    const std::size_t bytes = part.size() - address % part.size();
    if (!memory.read(address, part.data(), bytes)) break;
    const auto end = std::find(part.begin(), part.begin() + bytes, '\0');
    text.append(part.begin(), end);
    if (end != part.begin() + bytes) break;
    address += bytes;
  }
  return text.substr(0, most_value_bytes);
}

// Of "NAME=VALUE", the value.
std::optional<std::string> value_in(std::string_view entry, const std::string& name) {
  if (!entry.starts_with(name) || entry.size() <= name.size() || entry[name.size()] != '=') return std::nullopt;
  return std::string(entry.substr(name.size() + 1, most_value_bytes));
}

std::optional<std::string> started_with(std::uint32_t pid, const std::string& name) {
  const std::string all = read_proc_file("/proc/" + std::to_string(pid) + "/environ").value_or("");
  for (std::size_t at = 0; at < all.size(); at = all.find('\0', at) + 1) {
    const std::string_view rest = std::string_view(all).substr(at);
    if (auto value = value_in(rest.substr(0, rest.find('\0')), name)) return value;
    if (all.find('\0', at) == std::string::npos) break;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> environment_variable(std::uint32_t pid, const std::string& name) {
  const ProcessMemory memory(pid);
  const auto place = find_environ(pid);
  std::uint64_t entries = 0;
  if (!place || !memory.read(*place, &entries, sizeof entries) || entries == 0) return started_with(pid, name);
  for (std::size_t i = 0; i < most_variables; i++) {
    std::uint64_t entry = 0;
    std::string start(name.size() + 1, '\0');
    if (!memory.read(entries + i * sizeof entry, &entry, sizeof entry) || entry == 0) break;
    if (!memory.read(entry, start.data(), start.size()) || start != name + "=") continue;
    return read_string(memory, entry + start.size());
  }
  return std::nullopt;
}

void EnvironmentReader::add(std::uint32_t pid, bool is_new, std::uint64_t now_ns) {
  const std::uint64_t start_ticks = start_ticks_of(pid);
  if (start_ticks == 0) return;
  const auto [entry, is_unknown] = known_.try_emplace({pid, start_ticks});
  if (!is_new && !is_unknown) return;
  look_at(entry->first, entry->second);
  entry->second.interval_ns = first_ns;
  entry->second.next_ns = now_ns + first_ns;
}

void EnvironmentReader::look_at(const Process& process, Known& known) {
  const auto [pid, start_ticks] = process;
  auto value = environment_variable(pid, variable_);
  // Of one that has ended meanwhile, what is known stays.
  if (!has_memory(pid) || start_ticks_of(pid) != start_ticks) return;
  known.value = std::move(value);
  known.was_looked_at = true;
}

void EnvironmentReader::look(std::uint64_t now_ns) {
  for (auto& [process, known] : known_) {
    if (known.next_ns > now_ns) continue;
    look_at(process, known);
    known.interval_ns = std::min(known.interval_ns * 2, last_ns);
    known.next_ns = start_ticks_of(process.first) == process.second ? now_ns + known.interval_ns : UINT64_MAX;
  }
}

void EnvironmentReader::look_at_all() {
  for (auto& [process, known] : known_) {
    look_at(process, known);
    known.next_ns = UINT64_MAX;
  }
}

std::uint64_t EnvironmentReader::next_ns() const {
  std::uint64_t next = UINT64_MAX;
  for (const auto& [process, known] : known_) next = std::min(next, known.next_ns);
  return next;
}

std::optional<std::string> EnvironmentReader::value_of(const Series& series) const {
  const auto known = known_.find({series.pid, series.process_start_ticks});
  if (known != known_.end() && known->second.was_looked_at) return known->second.value;
  // The process that had the parent's number when this one began.
  auto parent = known_.upper_bound({series.parent_pid, series.process_start_ticks});
  if (parent == known_.begin() || (--parent)->first.first != series.parent_pid) return std::nullopt;
  return parent->second.value;
}

}  // namespace waitprobe
