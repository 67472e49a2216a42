// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/collect/process/library_instances.h"
#include "src/model/diagnosis.h"

namespace waitprobe {

// Whether the wait counters of PyTorch in a process have libwaitprobe_torch.so for their backend, as far as can be seen from
// outside; nothing where there is no PyTorch. `mappings` and `instances` are those of the process.
std::optional<Check> check_torch(std::uint32_t pid, const std::vector<Mapping>& mappings,
                                 const std::vector<LibraryInstance>& instances);

}  // namespace waitprobe
