// SPDX-License-Identifier: MIT
//
// Looks up the command, and is the one place that prints errors and exits. Exit status: 0 done, 1 failed, 2 wrong usage.
#include <iostream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/help.h"
#include "src/cli/output.h"
#include "src/collect/command.h"

namespace waitprobe::cli {
namespace {

constexpr int failed = 1;
constexpr int wrong_usage = 2;

int run(const CommandRow& row, const Words& words) {
  try {
    const Result<int> status = row.run(row, words);
    if (status) return *status;
    report(std::cerr, status.error());
    return failed;
  } catch (const HelpWanted& help) {
    std::cout << help.text;
    return 0;
  } catch (const UsageError& error) {
    report(std::cerr, Error{"understand", "the options of waitprobe " + std::string(row.name), error.text,
                            "waitprobe " + std::string(row.name) + " --help shows them"});
    return wrong_usage;
  }
}

int main_of(const std::vector<std::string>& arguments) {
  ignore_signals();
  if (arguments.empty()) {
    std::cerr << overview();
    return wrong_usage;
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h") {
    std::cout << overview();
    return 0;
  }
  if (name == "--version") {
    std::cout << "waitprobe " WAITPROBE_VERSION "\n";
    return 0;
  }
  if (const CommandRow* row = find_command(name)) return run(*row, split_words({arguments.begin() + 1, arguments.end()}));
  report(std::cerr, no_such_command(name));
  return wrong_usage;
}

}  // namespace
}  // namespace waitprobe::cli

int main(int argc, char** argv) { return waitprobe::cli::main_of({argv + 1, argv + argc}); }
