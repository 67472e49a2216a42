// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <string>

#include "src/model/result.h"

namespace waitprobe {

struct TextFile {
  std::string text;
  struct stat stat = {};  // of the file that was read
};

// A whole file of at most 1 MiB. The error has the reason alone: its caller says what the file is for.
Result<TextFile> read_text_file(const std::string& path);

}  // namespace waitprobe
