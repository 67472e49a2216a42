// SPDX-License-Identifier: MIT
//
// Where a uprobe on a probe costs least. A probe of waitprobe is three nops in a row, of one, ten and five bytes
// (src/runtime/probes.cpp). Kernels set a breakpoint on a nop, or turn it into a call, which costs a fraction; which nop they turn
// into a call depends on the kernel, and on Linux 6.18 children of a fork die of it.
#pragma once

#include <cstdint>
#include <optional>

#include "src/collect/process/usdt_sites.h"

namespace waitprobe {

// How many bytes behind the first nop the one is that is best on this kernel, by a try on this program: the kernel must turn a
// longer nop into a call, each hit must be counted, and a child that is forked meanwhile must hit it and live. 0 where there is no
// such nop, or where this user may not set uprobes. What was found since the machine was booted is in /run/waitprobe.nop.
// Threads: any.
std::uint64_t fast_nop();

struct NopTry {
  std::uint64_t nop = 0;      // as fast_nop()
  bool children_die = false;  // of a fork, by a nop that the kernel has turned into a call
};

// A new try, which may take a quarter of a second. Nothing: this user may not set uprobes. Threads: one at a time.
std::optional<NopTry> try_nops();

// Where a uprobe on this site should be set, as an offset in its file.
std::uint64_t attach_offset(const UsdtSite& site);

}  // namespace waitprobe
