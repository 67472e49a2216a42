// SPDX-License-Identifier: MIT
//
// The commands of `waitprobe`: each is one file and one row of the table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/model/result.h"

namespace waitprobe::cli {

// What stands after the command's name, in two parts: up to the first "--", and after it.
struct Words {
  std::vector<std::string> options;
  std::vector<std::string> command;
  bool has_command = false;     // there was a "--"
  bool is_description = false;  // nothing is to be run: see description.h
};

struct CommandRow {
  const char* name;
  const char* summary;   // completes "waitprobe NAME: ..."
  const char* examples;  // lines that can be pasted
  const char* about;     // for its man page: what is worth knowing before one uses it
  const char* status_3;  // what exit status 3 says; nullptr: it has none
  const char* status_4;  // likewise
  // Returns the exit status. Errors: usage errors are thrown as UsageError (parser.h).
  Result<int> (*run)(const CommandRow& row, const Words& words);
};

std::span<const CommandRow> commands();

// nullptr: there is none of that name.
const CommandRow* find_command(std::string_view name);

Result<int> run_completion(const CommandRow& row, const Words& words);
Result<int> run_diff(const CommandRow& row, const Words& words);
Result<int> run_doctor(const CommandRow& row, const Words& words);
Result<int> run_help(const CommandRow& row, const Words& words);
Result<int> run_hist(const CommandRow& row, const Words& words);
Result<int> run_list(const CommandRow& row, const Words& words);
Result<int> run_man(const CommandRow& row, const Words& words);
Result<int> run_record(const CommandRow& row, const Words& words);
Result<int> run_report(const CommandRow& row, const Words& words);
Result<int> run_run(const CommandRow& row, const Words& words);
Result<int> run_slow(const CommandRow& row, const Words& words);
Result<int> run_stuck(const CommandRow& row, const Words& words);
Result<int> run_top(const CommandRow& row, const Words& words);
Result<int> run_tracefs(const CommandRow& row, const Words& words);
Result<int> run_version(const CommandRow& row, const Words& words);

}  // namespace waitprobe::cli
