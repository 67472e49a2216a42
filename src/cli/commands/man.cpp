// SPDX-License-Identifier: MIT
#include <fstream>
#include <sstream>

#include "src/cli/help.h"
#include "src/cli/man_page.h"
#include "src/cli/output.h"

namespace waitprobe::cli {
namespace {

struct Options {
  std::string name;
  std::string folder;
};

void declare(Parser& parser, Options& options) {
  add_command_name(parser, options.name);
  parser.add_text("--all", options.folder, "DIRECTORY", "Write the pages of all commands into this directory");
}

std::string page_of(const CommandRow* row) {
  std::ostringstream out;
  if (row == nullptr) {
    print_man_page(out);
  } else {
    print_man_page(out, *row, describe(*row));
  }
  return out.str();
}

Result<void> write_all_pages(const std::string& folder) {
  const auto write = [&](const std::string& name, const CommandRow* row) -> Result<void> {
    const std::string path = folder + "/" + name + ".1";
    std::ofstream file(path);
    file << page_of(row) << std::flush;
    if (!file) return Error{"write", path, "it cannot be created or written to", "name a directory that exists"};
    return {};
  };
  if (auto written = write("waitprobe", nullptr); !written) return written;
  for (const CommandRow& row : commands()) {
    if (auto written = write("waitprobe-" + std::string(row.name), &row); !written) return written;
  }
  return {};
}

}  // namespace

void declare_man(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_man(const CommandRow& row, const Arguments& arguments) {
  Parser parser(row);
  Options options;
  declare(parser, options);
  parser.parse(arguments);
  if (!options.folder.empty()) {
    if (!options.name.empty()) throw UsageError{"--all writes every page; leave out '" + options.name + "'"};
    const auto written = write_all_pages(options.folder);
    return written ? Result<int>(0) : written.error();
  }
  const auto printed = write_output(page_of(options.name.empty() ? nullptr : find_command(options.name)));
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
