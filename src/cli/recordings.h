// SPDX-License-Identifier: MIT
//
// What commands that read recordings have in common.
#pragma once

#include <string>
#include <vector>

#include "src/cli/moment.h"
#include "src/cli/snapshots.h"
#include "src/model/history.h"
#include "src/model/recordings.h"
#include "src/model/result.h"

namespace waitprobe::cli {

// Reads and merges them. Warns of those that could not be read to their end, or have none. Errors: the first that cannot be
// read at all, or that cannot be added up.
Result<Recordings> read_recordings(const std::vector<std::string>& files);

// Errors: nothing was recorded then, which names what was.
Result<Span> span_of(const Recordings& recordings, const MomentSpan& wanted);

// Patterns of keys; none: all keys.
using KeyGlobs = std::vector<std::string>;

// The part of the recordings in columns as long as span.interval_ns, of keys that all of these let pass. Columns in which
// nothing was recorded are left out, unless `with_gaps`. Begins the recordings again.
Result<History> history_of(Recordings& recordings, const Span& span, const std::vector<KeyGlobs>& key_globs,
                           const ClassGlobs& class_globs, bool with_gaps);

}  // namespace waitprobe::cli
