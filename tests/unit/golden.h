// SPDX-License-Identifier: MIT
//
// What a view prints against a file of what it printed when somebody last looked at it (golden/). WAITPROBE_UPDATE_GOLDEN=1
// writes them anew.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "src/view/escape.h"

// At most 80 columns, but for a command that is pasted as one line, and nothing that a terminal would obey. A backslash was there before, or came from escape().
inline void expect_fits_a_terminal(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  sudo ")) {
      EXPECT_LE(waitprobe::display_width(line), 80U) << line;
    }
    std::string but_for_backslashes = line;
    std::erase(but_for_backslashes, '\\');
    EXPECT_EQ(waitprobe::escape(but_for_backslashes), but_for_backslashes);
  }
}

inline void expect_golden(const std::string& name, const std::string& printed) {
  const std::string path = std::string(GOLDEN_FOLDER) + "/" + name;
  if (std::getenv("WAITPROBE_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << printed;
  std::ifstream file(path, std::ios::binary);
  const std::string wanted((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(printed, wanted) << "if this is as it should be: WAITPROBE_UPDATE_GOLDEN=1, and look at the difference";
  if (name.ends_with(".txt")) expect_fits_a_terminal(printed);
}
