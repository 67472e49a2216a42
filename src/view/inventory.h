// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>

#include "src/model/carrier.h"

namespace waitprobe {

// Who carries probes, as a table for people, 80 columns wide. What may not be read is shown as "?".
void print_inventory(std::ostream& out, const Inventory& inventory);

}  // namespace waitprobe
