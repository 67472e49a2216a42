// SPDX-License-Identifier: MIT
#include "src/collect/stuck/core_file.h"

#include <fcntl.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>

#include "src/collect/process/elf_file.h"

namespace waitprobe {
namespace {

#if defined(__aarch64__)
constexpr unsigned this_machine = EM_AARCH64;
#else
constexpr unsigned this_machine = EM_X86_64;
#endif

constexpr std::size_t most_notes = 256 << 20;  // bytes; 100,000 threads take less
constexpr std::size_t page = 4096;

Error error_of(const std::string& path, const std::string& why) {
  return {"read", path, why, "give a core dump of a process of this machine's architecture: waitprobe stuck --core FILE"};
}

template <class T>
bool take(const char*& at, const char* end, T& to) {
  if (static_cast<std::size_t>(end - at) < sizeof to) return false;
  std::memcpy(&to, at, sizeof to);
  at += sizeof to;
  return true;
}

}  // namespace

Result<CoreFile> CoreFile::open(const std::string& path) {
  CoreFile core;
  core.file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (!core.file_.ok() || fstat(core.file_.get(), &status) != 0) return Error{"open", path, errno_text(errno), ""};
  core.modified_unix_ns_ =
      static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(status.st_mtim.tv_nsec);
  elf_version(EV_CURRENT);
  const ElfHandle elf(elf_begin(core.file_.get(), ELF_C_READ, nullptr));
  GElf_Ehdr header;
  std::size_t count = 0;
  if (elf == nullptr || gelf_getehdr(elf.get(), &header) == nullptr || header.e_type != ET_CORE)
    return error_of(path, "it is no core dump");
  if (header.e_machine != this_machine) return error_of(path, "it is of another architecture");
  if (elf_getphdrnum(elf.get(), &count) != 0) return error_of(path, "it is cut off, or damaged");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<GElf_Phdr> notes;
  for (std::size_t i = 0; i < count; i++) {
    GElf_Phdr part;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &part) == nullptr) return error_of(path, "it is cut off, or damaged");
    if (part.p_offset > size || part.p_filesz > size - part.p_offset)
      return error_of(path, "it is cut off: " + std::to_string(size) + " bytes are left of it");
    if (part.p_type == PT_NOTE) notes.push_back(part);
    if (part.p_type != PT_LOAD) continue;
    core.segments_.push_back({part.p_vaddr, part.p_memsz, part.p_offset, std::min(part.p_filesz, part.p_memsz),
                              (part.p_flags & PF_W) != 0, (part.p_flags & PF_X) != 0});
  }
  std::sort(core.segments_.begin(), core.segments_.end(),
            [](const Segment& a, const Segment& b) { return a.address < b.address; });
  for (const GElf_Phdr& part : notes) {
    Elf_Data* data = part.p_filesz <= most_notes
                         ? elf_getdata_rawchunk(elf.get(), static_cast<std::int64_t>(part.p_offset), part.p_filesz, ELF_T_NHDR)
                         : nullptr;
    if (data == nullptr) return error_of(path, "it is cut off, or damaged");
    core.add_notes(*data);
  }
  if (core.threads_.empty()) return error_of(path, "it is cut off, or damaged: it contains no threads");
  core.describe_mappings();
  return core;
}

void CoreFile::add_notes(Elf_Data& notes) {
  GElf_Nhdr header;
  std::size_t name = 0, desc = 0;
  for (std::size_t at = 0; (at = gelf_getnote(&notes, at, &header, &name, &desc)) > 0;) {
    const auto* bytes = static_cast<const char*>(notes.d_buf) + desc;
    if (header.n_type == NT_PRSTATUS && header.n_descsz >= sizeof(elf_prstatus)) {
      elf_prstatus status;
      std::memcpy(&status, bytes, sizeof status);
      Thread thread{static_cast<std::uint32_t>(status.pr_pid), {}};
      static_assert(sizeof status.pr_reg >= sizeof thread.registers);
      std::memcpy(&thread.registers, &status.pr_reg, sizeof thread.registers);
      threads_.push_back(thread);
    } else if (header.n_type == NT_PRPSINFO && header.n_descsz >= sizeof(elf_prpsinfo)) {
      elf_prpsinfo info;
      std::memcpy(&info, bytes, sizeof info);
      comm_.assign(info.pr_fname, strnlen(info.pr_fname, sizeof info.pr_fname));
      pid_ = static_cast<std::uint32_t>(info.pr_pid);
    } else if (header.n_type == NT_FILE) {
      add_files(bytes, header.n_descsz);
    }
  }
}

// A count, the size of a page, {start, end, offset in pages} of each mapping, then as many paths.
void CoreFile::add_files(const char* at, std::size_t bytes) {
  const char* const end = at + bytes;
  std::uint64_t count = 0, page_bytes = 0;
  if (!take(at, end, count) || !take(at, end, page_bytes) || count > bytes / 24) return;
  std::map<std::string, std::uint64_t> numbers;
  const char* paths = at + count * 24;
  for (std::uint64_t i = 0; i < count; i++) {
    Mapping mapping;
    std::uint64_t pages = 0;
    if (!take(at, end, mapping.start) || !take(at, end, mapping.end) || !take(at, end, pages)) return;
    mapping.offset = pages * page_bytes;
    const auto* path_end = static_cast<const char*>(std::memchr(paths, 0, static_cast<std::size_t>(end - paths)));
    if (path_end == nullptr || mapping.end < mapping.start) return;
    mapping.path.assign(paths, path_end);
    paths = path_end + 1;
    mapping.file.inode = numbers.try_emplace(mapping.path, numbers.size() + 1).first->second;
    mappings_.push_back(std::move(mapping));
  }
}

const CoreFile::Segment* CoreFile::segment_of(std::uint64_t address) const {
  const auto after = std::upper_bound(segments_.begin(), segments_.end(), address,
                                      [](std::uint64_t wanted, const Segment& segment) { return wanted < segment.address; });
  if (after == segments_.begin()) return nullptr;
  const Segment& segment = *std::prev(after);
  return address - segment.address < segment.bytes ? &segment : nullptr;
}

// Some who make dumps leave out the segments of code, which can be had from the files.
void CoreFile::describe_mappings() {
  for (Mapping& mapping : mappings_) {
    const Segment* segment = segment_of(mapping.start);
    mapping.executable = segment == nullptr || segment->executable;
    mapping.writable = segment != nullptr && segment->writable;
  }
}

bool CoreFile::read(std::uint64_t address, void* to, std::size_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes != 0) {
    const Segment* segment = segment_of(address);
    if (segment == nullptr || address - segment->address >= segment->held) return false;
    const std::uint64_t inside = address - segment->address;
    const std::size_t part = std::min<std::uint64_t>(bytes, segment->held - inside);
    if (pread(file_.get(), at, part, static_cast<off_t>(segment->offset + inside)) != static_cast<ssize_t>(part)) return false;
    at += part;
    address += part;
    bytes -= part;
  }
  return true;
}

// A file says in its first page what it is, and a dump holds that page.
FileDescriptor CoreFile::open_mapped(const Mapping& mapping) const {
  FileDescriptor file(::open(mapping.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok()) return file;
  const auto first = std::find_if(mappings_.begin(), mappings_.end(),
                                  [&](const Mapping& other) { return other.file == mapping.file && other.offset == 0; });
  std::array<char, page> now, then;
  if (first == mappings_.end() || !read(first->start, then.data(), then.size())) return file;
  const bool is_same = pread(file.get(), now.data(), now.size(), 0) == static_cast<ssize_t>(now.size()) && now == then;
  return is_same ? std::move(file) : FileDescriptor();
}

std::vector<std::uint64_t> CoreFile::find_roots() const {
  std::vector<std::uint64_t> roots;
  std::vector<std::uint64_t> words(page / sizeof(std::uint64_t));
  for (const Mapping& mapping : mappings_) {
    if (!mapping.writable) continue;
    for (std::uint64_t at = mapping.start; at < mapping.end && read(at, words.data(), page); at += page) {
      for (std::size_t i = 0; i < words.size(); i++) {
        if (words[i] != WP_ROOT_MAGIC) continue;
        const std::uint64_t root = at + i * sizeof words[0] - offsetof(wp_root, magic);
        if (read_root(*this, root)) roots.push_back(root);
      }
    }
  }
  return roots;
}

}  // namespace waitprobe
