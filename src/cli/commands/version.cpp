// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"
#include "src/cli/help.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"

namespace waitprobe::cli {

void declare_version(Parser&) {}

Result<int> run_version(const CommandRow& row, const Arguments& arguments) {
  Parser parser(row);
  parser.parse(arguments);
  const auto printed = write_output(version_text());
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
