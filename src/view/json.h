// SPDX-License-Identifier: MIT
//
// What programs read: one object a line, as docs/design.md says. Strings are UTF-8; bytes that are not are written as the text
// \xNN.
#pragma once

#include <ostream>

#include "src/model/carrier.h"
#include "src/model/snapshot.h"

namespace waitprobe {

void print_json(std::ostream& out, const Snapshot& snapshot);
void print_json(std::ostream& out, const Inventory& inventory);

}  // namespace waitprobe
