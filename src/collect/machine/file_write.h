// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "src/model/result.h"

namespace waitprobe {

// Writes all of the text. Returns 0, or the number of the error that kept it from that.
int write_all(int fd, std::string_view text);

// That a file could not be written, for the reason that errno had, and what helps.
Error write_error(const std::string& path, int error);

}  // namespace waitprobe
