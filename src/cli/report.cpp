// SPDX-License-Identifier: MIT
#include "src/cli/report.h"

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

}  // namespace waitprobe::cli
