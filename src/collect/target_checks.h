// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/model/diagnosis.h"
#include "src/model/result.h"

namespace waitprobe {

// What there is to say of a process: of each file with probes that it maps, of its namespaces, and of all USDT probes that are
// dangerous to trace on this kernel. That it may not be looked into is a finding. Errors: there is no such process.
Result<Findings> check_process(std::uint32_t pid);

// The same of a file, as far as it alone can tell. Errors: it cannot be opened, or is not ELF.
Result<Findings> check_file(const std::string& path);

// The same of what a command would start. Nothing is started. Errors: there is no such command.
Result<Findings> check_command(const std::string& name);

}  // namespace waitprobe
