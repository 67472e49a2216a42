// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "src/model/diagnosis.h"

namespace waitprobe {

// Loads a small BPF program, attaches it to a probe of the tool itself and fires that; then loads what hist and slow would.
std::vector<Check> run_self_test();

}  // namespace waitprobe
