// SPDX-License-Identifier: MIT
//
// The columns of a table of waits. One table drives header, --sort and the figures of the JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

struct Column {
  const char* name;  // for --sort, where it is one of sort_names()
  const char* header;
  std::size_t width;
  std::string (*text)(const Series& series, std::uint64_t elapsed_ns);
  std::uint64_t (*value)(const Series& series);  // what is sorted by, the greatest first
  bool is_sort_name = true;
};

// All but the key, which stands before them and takes what room is left.
std::span<const Column> columns();

// Their headers, and what a series has in them, as they follow the key in a table. Units: columns of a terminal.
std::string header_text();
std::string row_text(const Series& series, std::uint64_t elapsed_ns);
std::size_t row_width();

struct Figure {
  const char* json_name;
  std::uint64_t (*value)(const Series& series);
};

// What JSON tells of a series.
std::span<const Figure> figures();

// What --sort takes: the names of the columns, but for those that sort as another does, and "key".
std::vector<std::string> sort_names();

// By class: waits first. Those of a class in order of a column, the greatest first; by "key", in the order of its bytes. REQUIRES:
// `column` is one of sort_names().
std::vector<const Series*> sorted(const std::vector<Series>& series, const std::string& column);

}  // namespace waitprobe
