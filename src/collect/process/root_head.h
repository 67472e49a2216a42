// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "bpf/abi.h"

namespace waitprobe {

// What a root begins with, in a file and in memory, in each version of the library.
struct RootHead {
  wp_armed armed;
  __u64 magic;
  __u32 version;
  __u32 size;
};
static_assert(offsetof(wp_root, armed) == offsetof(RootHead, armed) && offsetof(wp_root, magic) == offsetof(RootHead, magic) &&
              offsetof(wp_root, version) == offsetof(RootHead, version) && offsetof(wp_root, size) == offsetof(RootHead, size));

}  // namespace waitprobe
