// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/model/carrier.h"
#include "src/view/emphasis.h"

namespace waitprobe {

// Who carries probes, as a table for people. What may not be read is shown as "?", keys that are not yet known as "-".
void print_inventory(std::ostream& out, const Inventory& inventory, std::size_t width, Colours colours);

}  // namespace waitprobe
