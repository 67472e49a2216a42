// SPDX-License-Identifier: MIT
#include "src/collect/process/environment.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "src/collect/machine/clock.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/process/elf_file.h"
#include "src/collect/process/process.h"
#include "src/collect/process/process_memory.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_value_bytes = 256;
// That a process can make us look at.
constexpr std::size_t most_variables = 16'384, most_files = 4, most_environ_bytes = 4 << 20;
// Its libc may not be mapped yet when it is looked at first.
constexpr int most_searches = 8;
constexpr std::uint64_t share = 100;  // of a CPU, one part at the most

// A section that is not too large to be read, or null.
Elf_Data* data_of(Elf_Scn* scn) {
  GElf_Shdr header;
  if (scn == nullptr || gelf_getshdr(scn, &header) == nullptr) return nullptr;
  if (header.sh_size > most_section_bytes || (header.sh_flags & SHF_COMPRESSED) != 0) return nullptr;
  return elf_getdata(scn, nullptr);
}

// The address that a table of symbols gives to libc's `environ`.
std::optional<std::uint64_t> environ_in(Elf* elf, Elf_Scn* table) {
  GElf_Shdr header;
  if (gelf_getshdr(table, &header) == nullptr) return std::nullopt;
  Elf_Data* const symbols = data_of(table);
  const Elf_Data* const strings = data_of(elf_getscn(elf, header.sh_link));
  if (symbols == nullptr || strings == nullptr || strings->d_buf == nullptr) return std::nullopt;
  const std::string_view names(static_cast<const char*>(strings->d_buf), strings->d_size);
  GElf_Sym symbol;
  for (int i = 0; gelf_getsym(symbols, i, &symbol) != nullptr; i++) {
    if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT) continue;
    if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL || symbol.st_name >= names.size()) continue;
    // The names include their ends.
    for (const std::string_view wanted : {std::string_view("environ", 8), std::string_view("__environ", 10)}) {
      if (names.substr(symbol.st_name, wanted.size()) == wanted) return symbol.st_value;
    }
  }
  return std::nullopt;
}

// The same in the first table of each kind: a file could have thousands.
std::optional<std::uint64_t> environ_in(Elf* elf) {
  for (const GElf_Word kind : {SHT_DYNSYM, SHT_SYMTAB}) {
    for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn)) != nullptr;) {
      GElf_Shdr header;
      if (gelf_getshdr(scn, &header) == nullptr || header.sh_type != kind) continue;
      if (const auto address = environ_in(elf, scn)) return address;
      break;
    }
  }
  return std::nullopt;
}

bool is_libc(std::string_view name) {
  return name.starts_with("libc.so") || name.starts_with("libc-") || name.starts_with("ld-musl-");
}

// Where the process may keep the pointer to its environment. An executable that uses it may have it instead of libc, whose own
// is then unused.
std::vector<std::uint64_t> find_places(std::uint32_t pid, const FileId& executable) {
  std::vector<std::uint64_t> places;
  const auto mappings = file_mappings(pid);
  if (!mappings) return places;
  FileId last;
  std::size_t files = 0;
  for (const Mapping& mapping : *mappings) {
    const bool is_candidate = mapping.file.inode == executable.inode || is_libc(file_name_of(mapping.path));
    if (mapping.file == last || !is_candidate) continue;
    last = mapping.file;
    if (++files > most_files) break;
    const FileDescriptor file = InstanceFinder::open_mapped(pid, mapping);
    if (!file.ok()) continue;
    const ElfHandle elf = open_elf(file.get());
    if (elf == nullptr) continue;
    const auto address = environ_in(elf.get());
    const ElfSegments segments = load_segments(elf.get());
    const auto bias = segments.load_bias(mapping);
    // Outside of the file's own memory may be anything, such as zeros, which would pass for an environment without variables.
    if (address && bias && segments.holds(*address)) places.push_back(*address + *bias);
  }
  return places;
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
  std::istringstream entries(read_shared_file(pid, "environ", most_environ_bytes).value_or(""));
  for (std::string entry; std::getline(entries, entry, '\0');) {
    if (auto value = value_in(entry, name)) return value;
  }
  return std::nullopt;
}

}  // namespace

bool Environment::find_table() {
  struct stat status;
  if (stat(("/proc/" + std::to_string(living_thread_of(pid_)) + "/exe").c_str(), &status) != 0) return false;
  const FileId executable = {status.st_dev, status.st_ino};
  if (executable != executable_) *this = Environment(pid_);
  executable_ = executable;

  const ProcessMemory memory(pid_);
  const auto points_to_table = [&](std::uint64_t place, bool may_be_empty) {
    std::uint64_t first = 0;
    if (!memory.read(place, &table_, sizeof table_) || table_ == 0 || !memory.read(table_, &first, sizeof first)) return false;
    return may_be_empty || first != 0;
  };
  if (place_ != 0 && points_to_table(place_, true)) return true;
  if (searches_ == most_searches) return false;
  searches_++;
  const auto places = find_places(pid_, executable);
  // Much that is no environment looks like an empty one, so that is believed only where there is no other.
  for (const bool may_be_empty : {false, true}) {
    for (const std::uint64_t place : places) {
      if (!points_to_table(place, may_be_empty)) continue;
      place_ = place;
      return true;
    }
  }
  return false;
}

std::optional<std::string> Environment::value_of(const std::string& name) {
  if (!find_table()) return started_with(pid_, name);
  const ProcessMemory memory(pid_);
  for (std::size_t i = 0; i < most_variables; i++) {
    std::uint64_t entry = 0;
    std::string start(name.size() + 1, '\0');
    if (!memory.read(table_ + i * sizeof entry, &entry, sizeof entry) || entry == 0) break;
    if (!memory.read(entry, start.data(), start.size()) || start != name + "=") continue;
    return read_string(memory, entry + start.size());
  }
  return std::nullopt;
}

void EnvironmentReader::add(std::uint32_t pid, bool is_new, std::uint64_t now_ns) {
  const std::uint64_t start_ticks = start_ticks_of(pid);
  if (start_ticks == 0) return;
  const auto [entry, is_unknown] = known_.try_emplace({pid, start_ticks}, pid);
  if (!is_new && !is_unknown) return;
  entry->second.environment = Environment(pid);  // another program has it elsewhere
  if (look_at(*entry)) watches_.add(pid, now_ns);
}

bool EnvironmentReader::look_at(Entry& entry) {
  const auto [pid, start_ticks] = entry.first;
  Known& known = entry.second;
  auto value = known.environment.value_of(variable_);
  // Of one that has ended meanwhile, what is known stays.
  const auto stat = has_memory(pid) ? stat_of(pid) : std::nullopt;
  if (!stat || stat->start_ticks != start_ticks) return false;
  if (known.was_looked_at && known.value && known.value != value) known.may_be_inherited = false;
  known.value = std::move(value);
  known.was_looked_at = true;
  Entry* const parent = known_.find_at(stat->parent_pid, start_ticks);
  if (parent != nullptr && parent->second.was_looked_at && parent->second.value != known.value) {
    parent->second.may_be_inherited = false;
  }
  return true;
}

void EnvironmentReader::look(std::uint64_t now_ns) {
  if (now_ns < next_ns()) return;
  const std::uint64_t began_ns = waitprobe::now_ns();
  for (const std::uint32_t pid : watches_.take_due(now_ns)) {
    Entry* const entry = known_.find_at(pid, UINT64_MAX);
    if (entry == nullptr || !look_at(*entry)) watches_.remove(pid);
  }
  not_before_ns_ = now_ns + share * (waitprobe::now_ns() - began_ns);
}

void EnvironmentReader::look_at_all() {
  for (const std::uint32_t pid : watches_.take_all()) {
    if (Entry* const entry = known_.find_at(pid, UINT64_MAX)) look_at(*entry);
  }
}

std::optional<std::string> EnvironmentReader::value_of(const Series& series) {
  const Entry* const known = known_.find({series.pid, series.process_start_ticks});
  if (known != nullptr && known->second.was_looked_at) return known->second.value;
  const Entry* const parent = known_.find_at(series.parent_pid, series.process_start_ticks);
  return parent != nullptr && parent->second.may_be_inherited ? parent->second.value : std::nullopt;
}

}  // namespace waitprobe
