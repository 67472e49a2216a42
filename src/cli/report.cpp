// SPDX-License-Identifier: MIT
#include "src/cli/report.h"

#include <cerrno>
#include <iostream>

#include "src/view/escape.h"

namespace waitprobe::cli {

void report(std::ostream& out, const Error& error, const char* kind) {
  out << "waitprobe: " << kind << " " << error.what;
  if (!error.on.empty()) out << " " << escape(error.on);
  out << ": " << escape(error.why) << "\n";
  for (std::size_t at = 0; at < error.hint.size();) {
    const std::size_t end = std::min(error.hint.find('\n', at), error.hint.size());
    out << "  " << escape(error.hint.substr(at, end - at)) << "\n";
    at = end + 1;
  }
}

Result<bool> flush_output() {
  errno = 0;
  std::cout.flush();
  if (std::cout) return true;
  if (errno == EPIPE) return false;
  return Error{"write", "to the standard output", errno_text(errno), ""};
}

}  // namespace waitprobe::cli
