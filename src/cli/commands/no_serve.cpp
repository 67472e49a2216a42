// SPDX-License-Identifier: MIT
//
// In place of serve.cpp in the tool that is one file (WAITPROBE_STATIC): the libraries of the HTTP server cannot be linked statically.
#include "src/cli/command_table.h"
#include "src/cli/parser.h"

namespace waitprobe::cli {

void declare_serve(Parser&) {}

Result<int> run_serve(const CommandRow&, const Arguments&) {
  return Error{"serve", "", "this waitprobe is one file, which has no HTTP server",
               "install the package waitprobe, or build it without WAITPROBE_STATIC"};
}

}  // namespace waitprobe::cli
