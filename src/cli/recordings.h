// SPDX-License-Identifier: MIT
//
// What commands that read recordings have in common.
#pragma once

#include <string>
#include <vector>

#include "src/cli/moment.h"
#include "src/cli/snapshots.h"
#include "src/model/recordings.h"
#include "src/model/result.h"

namespace waitprobe::cli {

// Reads and merges them. Warns of those that could not be read to their end, or have none. Errors: the first that cannot be
// read at all, or that cannot be added up.
Result<Recordings> read_recordings(const std::vector<std::string>& files);

// Errors: nothing was recorded then.
Result<Span> span_of(const Recordings& recordings, const MomentSpan& wanted);

}  // namespace waitprobe::cli
