// SPDX-License-Identifier: MIT
#include "src/cli/help.h"

#include "bpf/abi.h"
#include "src/collect/machine/libbpf_version.h"
#include "src/view/escape.h"

namespace waitprobe::cli {

std::string version_text() {
  return "waitprobe " WAITPROBE_VERSION "\nlibrary ABI " + std::to_string(WP_ABI_VERSION) + "\nlibbpf " + libbpf_version() +
         "\n";
}

std::string overview() {
  std::string text =
      "waitprobe: show what a C++ program waits for, and how long\n\n"
      "Usage: waitprobe COMMAND [TARGET] [OPTIONS]\n\nCommands:\n";
  for (const CommandRow& row : commands()) text += "  " + pad(row.name, 12) + row.summary + "\n";
  text += "\nOptions:\n  -h, --help      Print this help\n  -V, --version   Print the version\n";
  return text + "\nRun 'waitprobe help COMMAND' for details and examples.\n";
}

std::string help_of(const CommandRow& row) {
  Parser parser(row);
  row.declare(parser);
  return parser.help();
}

Description describe(const CommandRow& row) {
  Parser parser(row);
  row.declare(parser);
  return parser.describe();
}

void add_command_name(Parser& parser, std::string& name) {
  std::vector<std::string> names;
  for (const CommandRow& row : commands()) names.emplace_back(row.name);
  parser.set_target_usage("[COMMAND]");
  parser.add_choice("COMMAND", name, "", "The command to describe", names, "command");
}

}  // namespace waitprobe::cli
