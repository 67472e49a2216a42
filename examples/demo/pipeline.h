// SPDX-License-Identifier: MIT
//
//   walker -> [paths] -> readers -> [pieces] -> compressors -> [results] -> writer
//
// Queues are bounded, so a slow stage holds up those before it; a memory budget bounds what has been read of the files; and the
// output and the summary of it have one lock, which the compressors and the writer share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>

namespace demo {

struct Settings {
  std::filesystem::path directory;
  unsigned readers = 3;
  unsigned compressors = 4;
  std::size_t budget_bytes = 1 << 20;
};

struct Summary {
  std::uint64_t files = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

// Compresses every regular file below the directory into `output`, in pieces, in no particular order. Symbolic links are not
// followed. A piece is a line "OFFSET BYTES COMPRESSED_BYTES PATH", and then what zlib made of it.
Summary compress_directory(const Settings& settings, std::ostream& output);

}  // namespace demo
