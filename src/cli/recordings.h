// SPDX-License-Identifier: MIT
//
// What commands that read recordings have in common.
#pragma once

#include <string>
#include <vector>

#include "src/model/recordings.h"
#include "src/model/result.h"

namespace waitprobe::cli {

// Reads and merges them. Warns of those that could not be read to their end, or have none. Errors: the first that cannot be
// read at all, or that cannot be added up.
Result<Recordings> read_recordings(const std::vector<std::string>& files);

}  // namespace waitprobe::cli
