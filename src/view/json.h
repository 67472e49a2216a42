// SPDX-License-Identifier: MIT
//
// What programs read: one object a line, as docs/json.md describes. It is ASCII: control characters and all beyond ASCII stand as
// JSON's \uXXXX, which a parser gives back as they were. Bytes that are not valid UTF-8 become the text \xNN;
// where they matter, a member NAME_hex holds all bytes.
#pragma once

#include <ostream>

#include "src/model/carrier.h"
#include "src/model/comparison.h"
#include "src/model/diagnosis.h"
#include "src/model/open_wait.h"
#include "src/model/recording.h"
#include "src/model/slow_wait.h"
#include "src/model/snapshot.h"

namespace waitprobe {

void print_json(std::ostream& out, const Snapshot& snapshot);
// The first and the last line of a recording; between them stand snapshots.
void print_json(std::ostream& out, const RecordingHeader& header);
void print_json(std::ostream& out, const RecordingEnd& end);
void print_json(std::ostream& out, const Comparison& comparison);
void print_json(std::ostream& out, const Diagnosis& diagnosis);
void print_json(std::ostream& out, const Inventory& inventory);
void print_json(std::ostream& out, const SlowWait& wait);
void print_json(std::ostream& out, const SlowSummary& summary);
void print_json(std::ostream& out, const OpenWaits& found);

}  // namespace waitprobe
