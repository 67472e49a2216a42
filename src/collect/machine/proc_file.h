// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace waitprobe {

// The whole of a file below /proc, or its first bytes; nothing when it cannot be read, and errno tells why.
std::optional<std::string> read_proc_file(const std::string& path, std::size_t most_bytes = SIZE_MAX);

}  // namespace waitprobe
