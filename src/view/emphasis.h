// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace waitprobe {

// Whether a view may use the terminal's colours: never in what is not for a terminal.
enum class Colours { no, yes };

enum class Emphasis { bold, dim, alert };

// `text` as it is, or between the escape sequences of a terminal.
inline std::string emphasised(const std::string& text, Emphasis emphasis, Colours colours) {
  if (colours == Colours::no) return text;
  const char* const begin = emphasis == Emphasis::bold ? "\033[1m" : emphasis == Emphasis::dim ? "\033[2m" : "\033[31m";
  return begin + text + "\033[0m";
}

}  // namespace waitprobe
