// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace waitprobe::detail {

// Zeroed pages that the child of any kind of fork finds zero again: that is how a child knows that what it has inherited
// belongs to its parent. Null where there is no memory or the kernel cannot do this (Linux before 4.14). Freed with munmap.
//
// `alignment` is a power of two, `bytes` a multiple of it.
void* map_wiped_memory(std::size_t bytes, std::size_t alignment) noexcept;

}  // namespace waitprobe::detail
