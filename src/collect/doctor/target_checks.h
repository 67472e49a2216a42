// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/collect/safety/before_attaching.h"
#include "src/collect/process/foreign_uprobes.h"
#include "src/model/diagnosis.h"
#include "src/model/result.h"

namespace waitprobe {

// What there is to say of a process: of each file with probes that it maps, of its namespaces, and of all USDT probes that are
// dangerous to trace on this kernel. `programs` are those that may be in the way. That it may not be looked into is a finding.
// Errors: there is no such process.
Result<Findings> check_process(std::uint32_t pid, const UprobePrograms& programs, BeforeAttaching& before);

// The same of a file, as far as it and the processes that map it can tell. Errors: it cannot be opened, or is not ELF.
Result<Findings> check_file(const std::string& path, const UprobePrograms& programs, BeforeAttaching& before);

// The same of what a command would start. Nothing is started. Errors: there is no such command.
Result<Findings> check_command(const std::string& name, const UprobePrograms& programs, BeforeAttaching& before);

}  // namespace waitprobe
