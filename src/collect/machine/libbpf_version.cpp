// SPDX-License-Identifier: MIT
#include "src/collect/machine/libbpf_version.h"

#include <bpf/libbpf.h>

namespace waitprobe {

std::string libbpf_version() { return std::to_string(libbpf_major_version()) + "." + std::to_string(libbpf_minor_version()); }

}  // namespace waitprobe
