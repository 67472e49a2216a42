// SPDX-License-Identifier: MIT
#include "src/collect/program_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "src/collect/elf_file.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_known = 4096;
constexpr int most_depth = 16;  // of libraries that name libraries
constexpr std::size_t most_needed = 256;

// What a file wants loaded beside itself.
struct Needs {
  std::vector<std::string> libraries;
  std::vector<std::string> folders;  // RPATH or RUNPATH
};

std::optional<GElf_Shdr> header_of_dynamic(Elf* elf, Elf_Scn*& found) {
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(scn, &header) == nullptr || header.sh_type != SHT_DYNAMIC) continue;
    found = scn;
    return header;
  }
  return std::nullopt;
}

bool has_segment(Elf* elf, std::uint32_t type) {
  std::size_t count = 0;
  elf_getphdrnum(elf, &count);
  for (std::size_t i = 0; i < count; i++) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) != nullptr && header.p_type == type) return true;
  }
  return false;
}

void split_folders(const std::string& text, const std::string& origin, std::vector<std::string>& to) {
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ':');) {
    for (const std::string variable : {"${ORIGIN}", "$ORIGIN"}) {
      for (std::size_t at; (at = part.find(variable)) != std::string::npos;) part.replace(at, variable.size(), origin);
    }
    if (part.starts_with('/')) to.push_back(part);
  }
}

// Nothing when the file cannot be understood.
std::optional<Needs> needs_of(int fd, const std::string& path) {
  const ElfHandle elf = open_elf(fd);
  if (elf == nullptr) return std::nullopt;
  Needs needs;
  if (!has_segment(elf.get(), PT_DYNAMIC)) return needs;
  Elf_Scn* section = nullptr;
  const auto header = header_of_dynamic(elf.get(), section);
  Elf_Data* data = header && header->sh_size <= most_section_bytes ? elf_getdata(section, nullptr) : nullptr;
  if (data == nullptr || header->sh_entsize == 0) return std::nullopt;
  const std::string origin = std::filesystem::path(path).parent_path();
  for (std::size_t i = 0; i < data->d_size / header->sh_entsize; i++) {
    GElf_Dyn entry;
    if (gelf_getdyn(data, static_cast<int>(i), &entry) == nullptr || entry.d_tag == DT_NULL) break;
    if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_RPATH && entry.d_tag != DT_RUNPATH) continue;
    const char* text = elf_strptr(elf.get(), header->sh_link, entry.d_un.d_val);
    if (text == nullptr) return std::nullopt;
    if (entry.d_tag != DT_NEEDED) {
      split_folders(text, origin, needs.folders);
    } else if (needs.libraries.size() < most_needed) {
      needs.libraries.emplace_back(text);
    } else {
      return std::nullopt;
    }
  }
  return needs;
}

FileId id_of(const FileDescriptor& file) {
  struct stat status;
  return fstat(file.get(), &status) == 0 ? FileId{status.st_dev, status.st_ino} : FileId{};
}

FileDescriptor open_file(const std::string& path) {
  return FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

std::vector<std::string> library_folders(const std::string& root) {
  std::vector<std::string> folders;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/etc/ld.so.conf.d", error)) {
    std::istringstream lines(read_proc_file(entry.path(), 1 << 16).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with('/')) folders.push_back(line);
    }
  }
  folders.insert(folders.end(), {"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"});
  return folders;
}

Carries ProgramFiles::carries(const FileDescriptor& file, const std::string& path, const std::string& root) {
  if (known_.size() >= most_known) known_.clear();
  return remembered(file, path, root, 0);
}

// What stands in the table while a file is read ends the rings of libraries that name each other.
Carries ProgramFiles::remembered(const FileDescriptor& file, const std::string& path, const std::string& root, int depth) {
  const auto [known, is_new] = known_.try_emplace(id_of(file), Carries::no);
  if (!is_new) return known->second;
  const FileId id = known->first;
  const Carries found = depth < most_depth ? read(file, path, root, depth) : Carries::unknown;
  known_[id] = found;
  return found;
}

Carries ProgramFiles::read(const FileDescriptor& file, const std::string& path, const std::string& root, int depth) {
  const auto notes = read_probe_notes(file.get(), path);
  if (!notes) return Carries::unknown;
  if (notes->has_value()) return Carries::yes;
  const auto needs = needs_of(file.get(), path);
  if (!needs) return Carries::unknown;
  std::vector<std::string> folders = needs->folders;
  const auto usual = library_folders(root);
  folders.insert(folders.end(), usual.begin(), usual.end());
  Carries all = Carries::no;
  for (const std::string& name : needs->libraries) {
    const Carries one = read_library(name, folders, root, depth);
    if (one == Carries::yes) return Carries::yes;
    if (one == Carries::unknown) all = Carries::unknown;
  }
  return all;
}

Carries ProgramFiles::read_library(const std::string& name, const std::vector<std::string>& folders, const std::string& root,
                                   int depth) {
  const auto try_at = [&](const std::string& path) -> std::optional<Carries> {
    const FileDescriptor library = open_file(root + path);
    const bool fits = library.ok() && open_elf(library.get()) != nullptr;  // the loader passes over those of 32 bits
    return fits ? std::optional(remembered(library, path, root, depth + 1)) : std::nullopt;
  };
  if (name.starts_with('/')) return try_at(name).value_or(Carries::unknown);
  if (name.find('/') != std::string::npos) return Carries::unknown;  // below a folder that is not known any more
  for (const std::string& folder : folders) {
    if (const auto found = try_at(folder + "/" + name)) return *found;
  }
  return Carries::unknown;
}

}  // namespace waitprobe
