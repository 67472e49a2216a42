// SPDX-License-Identifier: MIT
#include "src/cli/output.h"

#include <unistd.h>

#include <cerrno>

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

Result<bool> write_output(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) return false;
    if (written < 0) return Error{"write", "to the standard output", errno_text(errno), ""};
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace waitprobe::cli
