// SPDX-License-Identifier: MIT
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "src/model/result.h"

namespace waitprobe::cli {

// "waitprobe: cannot WHAT ON: WHY", and the hint on lines of its own. Names come from other people's processes and are escaped.
void report(std::ostream& out, const Error& error, const char* kind = "cannot");

// Writes to stdout. False when the reader has gone, which is no error and the end of the work. Errors: it cannot be written to.
Result<bool> write_output(std::string_view text);

// Writes a page of HTML to a file, as a whole or not at all; "-" is stdout. Errors: it cannot be written, or another kind of
// file is in its place.
Result<void> write_page(const std::string& path, std::string_view text);

}  // namespace waitprobe::cli
