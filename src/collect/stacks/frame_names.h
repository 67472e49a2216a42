// SPDX-License-Identifier: MIT
#pragma once

#include <elfutils/libdwfl.h>

#include "src/model/stack.h"

namespace waitprobe {

// Appends what stands at an address: the functions that were inlined there, innermost first, and the one that they were inlined
// into; from debug information, else from the symbol table, else module and offset alone.
void name_address(Dwfl* dwfl, Dwarf_Addr address, Stack& to);

// Whether a function is part of the library, and so not what somebody looks for who asks who waits.
bool is_of_library(const std::string& function);

}  // namespace waitprobe
