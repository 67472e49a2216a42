// SPDX-License-Identifier: MIT
#include <iostream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/report.h"
#include "src/collect/inventory.h"
#include "src/view/inventory.h"
#include "src/view/json.h"

namespace waitprobe::cli {

Result<int> run_list(const CommandRow& row, const Words& words) {
  Parser parser(row);
  std::vector<std::uint32_t> pids;
  bool json = false;
  add_pids(parser, pids);
  parser.add_flag("--json", json, "One object a line, for a program to read");
  parser.parse_words(words);
  if (words.has_command) throw CLI::ValidationError("list starts no command; leave out what follows --");

  auto inventory = take_inventory(pids);
  if (!inventory) return inventory.error();
  if (json) {
    print_json(std::cout, *inventory);
  } else {
    print_inventory(std::cout, *inventory);
  }
  const auto printed = flush_output();
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
