// SPDX-License-Identifier: MIT
#include "src/cli/help.h"

#include "src/cli/output.h"

namespace waitprobe::cli {

void declare_help(Parser& parser) { add_command_name(parser, parser.keep<std::string>()); }

Result<int> run_help(const CommandRow& row, const Arguments& arguments) {
  Parser parser(row);
  std::string name;
  add_command_name(parser, name);
  parser.parse(arguments);
  const auto printed = write_output(name.empty() ? overview() : help_of(*find_command(name)));
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
