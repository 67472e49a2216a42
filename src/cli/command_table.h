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
struct Arguments {
  std::vector<std::string> options;
  std::vector<std::string> command;
  bool has_command = false;  // there was a "--"
};

class Parser;

struct CommandRow {
  const char* name;
  const char* summary;   // completes "waitprobe NAME: ..."
  const char* examples;  // lines that can be pasted
  const char* about;     // for its man page: what is worth knowing before one uses it
  const char* status_3;  // what exit status 3 says; nullptr: it has none
  const char* status_4;  // likewise
  // Adds its options and arguments to the parser, which parses nothing: for help, completion and manual pages.
  void (*declare)(Parser& parser);
  // Returns the exit status. Errors: usage errors are thrown as UsageError (parser.h).
  Result<int> (*run)(const CommandRow& row, const Arguments& arguments);
};

std::span<const CommandRow> commands();

// nullptr: there is none of that name.
const CommandRow* find_command(std::string_view name);

void declare_completion(Parser& parser);
void declare_diff(Parser& parser);
void declare_doctor(Parser& parser);
void declare_help(Parser& parser);
void declare_hist(Parser& parser);
void declare_list(Parser& parser);
void declare_man(Parser& parser);
void declare_record(Parser& parser);
void declare_report(Parser& parser);
void declare_run(Parser& parser);
void declare_serve(Parser& parser);
void declare_slow(Parser& parser);
void declare_stuck(Parser& parser);
void declare_top(Parser& parser);
void declare_tracefs(Parser& parser);
void declare_version(Parser& parser);

Result<int> run_completion(const CommandRow& row, const Arguments& arguments);
Result<int> run_diff(const CommandRow& row, const Arguments& arguments);
Result<int> run_doctor(const CommandRow& row, const Arguments& arguments);
Result<int> run_help(const CommandRow& row, const Arguments& arguments);
Result<int> run_hist(const CommandRow& row, const Arguments& arguments);
Result<int> run_list(const CommandRow& row, const Arguments& arguments);
Result<int> run_man(const CommandRow& row, const Arguments& arguments);
Result<int> run_record(const CommandRow& row, const Arguments& arguments);
Result<int> run_report(const CommandRow& row, const Arguments& arguments);
Result<int> run_run(const CommandRow& row, const Arguments& arguments);
Result<int> run_serve(const CommandRow& row, const Arguments& arguments);
Result<int> run_slow(const CommandRow& row, const Arguments& arguments);
Result<int> run_stuck(const CommandRow& row, const Arguments& arguments);
Result<int> run_top(const CommandRow& row, const Arguments& arguments);
Result<int> run_tracefs(const CommandRow& row, const Arguments& arguments);
Result<int> run_version(const CommandRow& row, const Arguments& arguments);

}  // namespace waitprobe::cli
