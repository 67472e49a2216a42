// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <ostream>

#include "src/model/diagnosis.h"
#include "src/view/emphasis.h"

namespace waitprobe {

// As it stands in JSON and, with blanks for underlines, in text.
const char* name_of(CheckStatus status);

// A line for each check, and below what is missing the command that mends it.
void print_diagnosis(std::ostream& out, const Diagnosis& diagnosis, std::size_t width, Colours colours);

}  // namespace waitprobe
