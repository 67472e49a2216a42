// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>

#include "src/model/open_wait.h"

namespace waitprobe {

// Calls visit(pid, address of the root) for instances of the library.
using EachInstance = std::function<void(const std::function<void(std::uint32_t, std::uint64_t)>& visit)>;

// The waits that are open in these instances, read from the memory of their processes, the oldest first. Of a thread only what
// its slots tell, and no stack. Of processes that cannot be read, nothing. Takes two milliseconds, and some microseconds for
// each wait.
OpenWaits open_waits_of(const EachInstance& each_instance);

}  // namespace waitprobe
