// SPDX-License-Identifier: MIT
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/output.h"
#include "src/cli/terminal.h"
#include "src/collect/process/inventory.h"
#include "src/view/inventory.h"
#include "src/view/json.h"

namespace waitprobe::cli {

namespace {

struct Options {
  std::optional<ProcessOptions> processes;
  bool json = false;
  std::string color = "auto";
};

void declare(Parser& parser, Options& options) {
  options.processes.emplace(parser);
  parser.add_flag("--json", options.json, "Print one JSON object per line");
  add_color(parser, options.color);
}

}  // namespace

void declare_list(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_list(const CommandRow& row, const Arguments& arguments) {
  Parser parser(row);
  Options options;
  declare(parser, options);
  parser.parse(arguments);

  auto inventory = take_inventory(options.processes->pids());
  if (!inventory) return inventory.error();
  std::ostringstream out;
  if (options.json) {
    print_json(out, *inventory);
  } else {
    print_inventory(out, *inventory, output_width(), wanted_colours(options.color));
  }
  const auto printed = write_output(out.str());
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
