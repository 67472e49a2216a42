// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/model/carrier.h"
#include "src/model/result.h"

namespace waitprobe {

// Every process that carries probes, or those of `pids`, if that is not empty. Needs no privileges: what the caller may not
// read is left out and counted. Errors: a process of `pids` does not exist or carries no probes.
Result<Inventory> take_inventory(const std::vector<std::uint32_t>& pids);

}  // namespace waitprobe
