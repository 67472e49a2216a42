// SPDX-License-Identifier: MIT
#include "src/collect/machine/proc_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace waitprobe {

std::optional<std::string> read_proc_file(const std::string& path, std::size_t most_bytes) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return std::nullopt;
  std::string text;
  char part[16384];
  errno = 0;
  while (text.size() < most_bytes) {
    const std::size_t got = std::fread(part, 1, std::min(sizeof part, most_bytes - text.size()), file);
    if (got == 0) break;
    text.append(part, got);
  }
  const int why = std::ferror(file) ? errno : 0;
  std::fclose(file);
  errno = why;
  if (why != 0) return std::nullopt;
  return text;
}

}  // namespace waitprobe
