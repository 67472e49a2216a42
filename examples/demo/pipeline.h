// SPDX-License-Identifier: MIT
//
//   walker -> [paths] -> readers -> [contents] -> compressors -> [results] -> writer
//
// Queues are bounded, so a slow stage holds up those before it; a memory budget bounds the files that have been read; and the
// one output has a lock, which the writer and the reports of unreadable files share.
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

// Compresses every regular file below the directory, each on its own, into `output`.
Summary compress_directory(const Settings& settings, std::ostream& output);

}  // namespace demo
