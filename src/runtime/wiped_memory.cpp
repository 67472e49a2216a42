// SPDX-License-Identifier: MIT
#include "src/runtime/wiped_memory.h"

#include <sys/mman.h>

#include <cstdint>

namespace waitprobe::detail {

void* map_wiped_memory(std::size_t bytes, std::size_t alignment) noexcept {
  // More than is needed, and then without what stands before and after the aligned part.
  void* memory = mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const auto start = reinterpret_cast<std::uint64_t>(memory);
  const std::uint64_t aligned = (start + alignment - 1) & ~(alignment - 1);
  if (aligned != start) munmap(memory, aligned - start);
  munmap(reinterpret_cast<void*>(aligned + bytes), start + alignment - aligned);
  if (madvise(reinterpret_cast<void*>(aligned), bytes, MADV_WIPEONFORK) != 0) {
    munmap(reinterpret_cast<void*>(aligned), bytes);
    return nullptr;
  }
  return reinterpret_cast<void*>(aligned);
}

}  // namespace waitprobe::detail
