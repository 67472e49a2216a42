// SPDX-License-Identifier: MIT
//
// Looks up the command, and is the one place that prints errors and exits. Exit status: 0 done, 1 failed, 2 wrong usage.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <iostream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/output.h"

namespace waitprobe::cli {
namespace {

constexpr int failed = 1;
constexpr int wrong_usage = 2;

void print_overview(std::ostream& out) {
  out << "waitprobe: what does a C++ program wait for, and for how long?\n\n"
         "Usage: waitprobe COMMAND [TARGET] [OPTIONS]\n\nCommands:\n";
  for (const CommandRow& row : commands()) out << "  " << std::left << std::setw(8) << row.name << row.summary << "\n";
  out << "\nwaitprobe COMMAND --help tells more, with examples.\n";
}

int unknown_command(const std::string& name) {
  std::string known;
  for (const CommandRow& row : commands()) known += std::string(known.empty() ? "" : ", ") + row.name;
  report(std::cerr, Error{"run", "command " + name, "there is no such command", "the commands are: " + known});
  return wrong_usage;
}

int run(const CommandRow& row, const Words& words) {
  try {
    const Result<int> status = row.run(row, words);
    if (status) return *status;
    report(std::cerr, status.error());
    return failed;
  } catch (const HelpWanted& help) {
    std::cout << help.text;
    return 0;
  } catch (const CLI::ParseError& error) {
    report(std::cerr, Error{"understand", "the options of waitprobe " + std::string(row.name), error.what(),
                            "waitprobe " + std::string(row.name) + " --help shows them"});
    return wrong_usage;
  }
}

int main_of(const std::vector<std::string>& arguments) {
  signal(SIGPIPE, SIG_IGN);  // a reader who has seen enough is no error
  signal(SIGXFSZ, SIG_IGN);  // nor is a limit a reason to leave half a line behind
  if (arguments.empty()) {
    print_overview(std::cerr);
    return wrong_usage;
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") {
    print_overview(std::cout);
    return 0;
  }
  if (name == "--version") {
    std::cout << "waitprobe " WAITPROBE_VERSION "\n";
    return 0;
  }
  for (const CommandRow& row : commands()) {
    if (name == row.name) return run(row, split_words({arguments.begin() + 1, arguments.end()}));
  }
  return unknown_command(name);
}

}  // namespace
}  // namespace waitprobe::cli

int main(int argc, char** argv) { return waitprobe::cli::main_of({argv + 1, argv + argc}); }
