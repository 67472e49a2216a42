// SPDX-License-Identifier: MIT
//
// Where a uprobe on a probe costs least. A probe of waitprobe is three nops in a row, of one, five and ten bytes
// (src/runtime/probes.cpp). Kernels set a breakpoint on a nop, or turn it into a call, which costs a fraction; which nop they turn
// into a call depends on the kernel.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/collect/process/usdt_sites.h"

namespace waitprobe {

// How many bytes behind the first nop the one is that is best on this kernel. The first call finds it by a try on this program:
// uprobes on the longer nops must count each hit, and the kernel must have turned one into a call. 0 where none does, or where this
// user may not set uprobes. Threads: any.
std::uint64_t fast_nop();

// Where a uprobe on this site should be set, as an offset in its file.
std::uint64_t attach_offset(const UsdtSite& site);

}  // namespace waitprobe
