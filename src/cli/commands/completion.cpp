// SPDX-License-Identifier: MIT
#include "src/cli/completion.h"

#include <sstream>

#include "src/cli/output.h"
#include "src/cli/parser.h"

namespace waitprobe::cli {
namespace {

void declare(Parser& parser, std::string& shell) {
  parser.set_target_usage("SHELL");
  parser.add_choice("SHELL", shell, "", "bash, zsh or fish", shells(), "completion for", Parser::Need::required);
}

}  // namespace

void declare_completion(Parser& parser) { declare(parser, parser.keep<std::string>()); }

Result<int> run_completion(const CommandRow& row, const Arguments& arguments) {
  Parser parser(row);
  std::string shell;
  declare(parser, shell);
  parser.parse(arguments);
  std::ostringstream out;
  print_completion(out, shell);
  const auto printed = write_output(out.view());
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
