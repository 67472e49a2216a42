// SPDX-License-Identifier: MIT
//
// The commands of `waitprobe`: each is one file and one row of the table.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "src/model/result.h"

namespace waitprobe::cli {

// What stands after the command's name, in two parts: up to the first "--", and after it.
struct Words {
  std::vector<std::string> options;
  std::vector<std::string> command;
  bool has_command = false;  // there was a "--"
};

struct CommandRow {
  const char* name;
  const char* summary;   // completes "waitprobe NAME: ..."
  const char* examples;  // lines that can be pasted
  // Returns the exit status. Errors: usage errors are thrown as CLI::ParseError.
  Result<int> (*run)(const CommandRow& row, const Words& words);
};

std::span<const CommandRow> commands();

Result<int> run_diff(const CommandRow& row, const Words& words);
Result<int> run_hist(const CommandRow& row, const Words& words);
Result<int> run_list(const CommandRow& row, const Words& words);
Result<int> run_record(const CommandRow& row, const Words& words);
Result<int> run_report(const CommandRow& row, const Words& words);
Result<int> run_slow(const CommandRow& row, const Words& words);
Result<int> run_stuck(const CommandRow& row, const Words& words);
Result<int> run_top(const CommandRow& row, const Words& words);

}  // namespace waitprobe::cli
