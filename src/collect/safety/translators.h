// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/process/library_instances.h"

namespace waitprobe {

// What runs the code of a process in its own stead, by the files that it has mapped: it reads a breakpoint as part of the
// program, which then dies. Nothing: it is not known to be so.
std::optional<std::string> translator_of(const std::vector<Mapping>& mappings);

// The same where nothing but the name of a process can be seen.
std::optional<std::string> translator_of(const std::string& comm);

// Why attaching to its file kills a process that a translator runs; nothing when none does.
std::optional<std::string> translation_hazard(const LibraryInstance& instance);

// Why no probe can be hit in an instance whose code was moved.
Error moved_code_error(const LibraryInstance& instance);

}  // namespace waitprobe
