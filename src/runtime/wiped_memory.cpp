// SPDX-License-Identifier: MIT
#include "src/runtime/wiped_memory.h"

#include <sys/mman.h>

namespace waitprobe::detail {

void* map_wiped_memory(std::size_t bytes) noexcept {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (madvise(memory, bytes, MADV_WIPEONFORK) != 0) {
    munmap(memory, bytes);
    return nullptr;
  }
  return memory;
}

}  // namespace waitprobe::detail
