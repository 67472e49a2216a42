// SPDX-License-Identifier: MIT
//
// Looks up the command, and is the one place that prints errors and exits. Exit status: 0 done, 1 failed, 2 wrong usage.
#include <exception>
#include <iostream>
#include <new>

#include "src/cli/command_table.h"
#include "src/cli/exit_status.h"
#include "src/cli/help.h"
#include "src/cli/memory_reserve.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/standard_files.h"
#include "src/cli/suggestion.h"
#include "src/collect/machine/late_close.h"
#include "src/collect/trace/command.h"
#include "src/view/escape.h"

namespace waitprobe::cli {
namespace {

int fail(const Error& error) {
  report(std::cerr, error);
  return failed;
}

int fail_without_memory() {
  return fail({"go on", "", "there is no more memory", "a limit may be in the way: ulimit -v, or memory.max of its cgroup"});
}

int print(std::string_view text) {
  const auto printed = write_output(text);
  return printed ? 0 : fail(printed.error());
}

int run(const CommandRow& row, const Arguments& arguments) {
  try {
    const Result<int> status = row.run(row, arguments);
    if (!status) return fail(status.error());
    return has_run_out_of_memory() ? fail_without_memory() : *status;
  } catch (const HelpRequested& help) {
    return print(help.text);
  } catch (const NothingFound& nothing) {
    return fail(nothing.error);
  } catch (const std::bad_alloc&) {
    return fail_without_memory();
  } catch (const std::exception& error) {
    return fail({"go on", "", error.what(), "internal error in waitprobe; please report it"});
  } catch (const UsageError& error) {
    const std::string command = "waitprobe " + std::string(row.name);
    std::cerr << command << ": " << escape(error.text) << "\nRun '" << command << " --help' for the options.\n";
    return wrong_usage;
  }
}

int fail_on_unknown(const std::string& name) {
  std::vector<std::string> known = {"--help", "--version"};
  for (const CommandRow& row : commands()) known.emplace_back(row.name);
  std::cerr << "waitprobe: unknown " << (name.starts_with('-') ? "option" : "command") << " '" << escape(name) << "'"
            << suggestion(name, known) << "\nRun 'waitprobe help' for the commands.\n";
  return wrong_usage;
}

int main_of(const std::vector<std::string>& arguments) {
  take_standard_files();
  keep_memory_back();
  ignore_signals();
  if (arguments.empty()) {
    std::cerr << overview();
    return wrong_usage;
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h") return print(overview());
  if (name == "--version" || name == "-V") return print(version_text());
  if (const CommandRow* row = find_command(name)) return run(*row, split_arguments({arguments.begin() + 1, arguments.end()}));
  return fail_on_unknown(name);
}

}  // namespace
}  // namespace waitprobe::cli

int main(int argc, char** argv) {
  const int status = waitprobe::cli::main_of({argv + 1, argv + argc});
  waitprobe::leave_late_closes_to_child();
  return status;
}
