// SPDX-License-Identifier: MIT
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/output.h"
#include "src/cli/terminal.h"
#include "src/collect/process/inventory.h"
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

  auto inventory = take_inventory(pids);
  if (!inventory) return inventory.error();
  std::ostringstream out;
  if (json) {
    print_json(out, *inventory);
  } else {
    print_inventory(out, *inventory, output_width());
  }
  const auto printed = write_output(out.str());
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
