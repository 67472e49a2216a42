// SPDX-License-Identifier: MIT
#include "src/collect/process/root_search.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "bpf/abi.h"
#include "src/collect/process/elf_file.h"
#include "src/collect/process/root_head.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t root_alignment = 64;       // of its address
constexpr std::uint64_t most_bytes = 64ULL << 20;  // looked at in one file
constexpr std::uint64_t piece_bytes = 256 << 10;   // at once; a multiple of the alignment
constexpr std::size_t most_roots = 16;

static_assert(root_alignment >= sizeof(RootHead));

// The kernel raises the armed word in processes, never in the file.
bool is_root(const char* at) {
  RootHead head;
  std::memcpy(&head, at, sizeof head);
  constexpr std::uint32_t most_version = 1000, most_size = 4096;
  const wp_armed& armed = head.armed;
  return head.magic == WP_ROOT_MAGIC && head.version != 0 && head.version <= most_version && head.size >= sizeof head &&
         head.size <= most_size && (armed.events | armed.batch | armed.backends | armed.self) == 0;
}

void search(int fd, const GElf_Phdr& segment, std::uint64_t& bytes_left, std::vector<char>& piece,
            std::vector<std::uint64_t>& roots) {
  const std::uint64_t first = (root_alignment - segment.p_vaddr % root_alignment) % root_alignment;
  for (std::uint64_t at = first; at < segment.p_filesz && bytes_left != 0; at += piece_bytes) {
    const std::uint64_t bytes = std::min({piece_bytes, segment.p_filesz - at, bytes_left});
    bytes_left -= bytes;
    const ssize_t got = pread(fd, piece.data(), bytes, static_cast<off_t>(segment.p_offset + at));
    if (got <= 0) return;
    for (std::size_t i = 0; i + sizeof(RootHead) <= static_cast<std::size_t>(got); i += root_alignment) {
      if (is_root(piece.data() + i) && roots.size() < most_roots) roots.push_back(segment.p_offset + at + i);
    }
  }
}

}  // namespace

std::vector<std::uint64_t> find_roots_in_file(int fd) {
  std::vector<std::uint64_t> roots;
  const ElfHandle elf = open_elf(fd);
  if (elf == nullptr) return roots;
  std::uint64_t bytes_left = most_bytes;
  std::vector<char> piece(piece_bytes);
  for (const GElf_Phdr& load : load_segments(elf.get()).loads) {
    if ((load.p_flags & PF_W) != 0) search(fd, load, bytes_left, piece, roots);
  }
  std::sort(roots.begin(), roots.end());
  roots.erase(std::unique(roots.begin(), roots.end()), roots.end());
  return roots;
}

}  // namespace waitprobe
