// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/model/recording.h"
#include "src/model/result.h"

namespace waitprobe {

// A file that `record` wrote, as far as it can be understood: it may have been cut off at any byte, or still grow.
// Recording::stopped_why tells. "-" is stdin. Errors: it cannot be read, or its first line is not that of a recording.
Result<Recording> read_recording(const std::string& file);

}  // namespace waitprobe
