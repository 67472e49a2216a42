// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace waitprobe {

// That of the libbpf that is loaded or linked, such as "1.1": it has no more of it.
std::string libbpf_version();

}  // namespace waitprobe
