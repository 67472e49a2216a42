// SPDX-License-Identifier: MIT
#include "src/cli/help.h"

#include <iostream>
#include <sstream>

#include "src/cli/completion.h"
#include "src/cli/man_page.h"
#include "src/cli/output.h"
#include "src/view/escape.h"

namespace waitprobe::cli {
namespace {

// The command that is named, or none. Errors: throws UsageError where there is no such command.
const CommandRow* parse_command(const CommandRow& row, const Words& words) {
  Parser parser(row);
  std::string name;
  std::vector<std::string> names;
  for (const CommandRow& one : commands()) names.emplace_back(one.name);
  parser.set_target_usage("[COMMAND]");
  parser.add_choice("COMMAND", name, "", "The command to describe", names, "command");
  parser.parse_words(words);
  return name.empty() ? nullptr : find_command(name);
}

Result<int> print(const std::string& text) {
  const auto printed = write_output(text);
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace

std::string overview() {
  std::string text =
      "waitprobe: what does a C++ program wait for, and for how long?\n\n"
      "Usage: waitprobe COMMAND [TARGET] [OPTIONS]\n\nCommands:\n";
  for (const CommandRow& row : commands()) text += "  " + pad(row.name, 12) + row.summary + "\n";
  return text + "\nRun 'waitprobe help COMMAND' for details and examples.\n";
}

Description describe(const CommandRow& row) {
  Words words;
  words.is_description = true;
  try {
    (void)row.run(row, words);
  } catch (const Described& described) {
    return described.description;
  }
  return {};  // no command comes here: each parses its words before it does anything
}

Result<int> run_help(const CommandRow& row, const Words& words) {
  const CommandRow* const wanted = parse_command(row, words);
  if (wanted == nullptr) return print(overview());
  return wanted->run(*wanted, split_words({"--help"}));
}

Result<int> run_man(const CommandRow& row, const Words& words) {
  const CommandRow* const wanted = parse_command(row, words);
  std::ostringstream out;
  if (wanted == nullptr) {
    print_man_page(out);
  } else {
    print_man_page(out, *wanted, describe(*wanted));
  }
  return print(out.str());
}

Result<int> run_completion(const CommandRow& row, const Words& words) {
  Parser parser(row);
  std::string shell;
  parser.set_target_usage("SHELL");
  parser.add_choice("SHELL", shell, "", "bash, zsh or fish", shells(), "completion for", Parser::Need::required);
  parser.parse_words(words);
  std::ostringstream out;
  print_completion(out, shell);
  return print(out.str());
}

}  // namespace waitprobe::cli
