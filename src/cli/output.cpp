// SPDX-License-Identifier: MIT
#include "src/cli/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/machine/file_write.h"
#include "src/view/escape.h"

namespace waitprobe::cli {
namespace {

constexpr std::string_view doctype = "<!DOCTYPE html>";

// Whether a page may take the place of what is there: of nothing, of a page, and of what is no plain file.
bool may_be_replaced(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return true;
  std::ifstream file(path, std::ios::binary);
  std::string beginning(doctype.size(), '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return beginning == doctype;
}

}  // namespace

void report(std::ostream& out, const Error& error, const char* kind) {
  out << "waitprobe: " << kind << " " << error.what;
  if (!error.on.empty()) out << " " << escape(error.on);
  out << ": " << escape(error.why) << "\n" << indented(error.hint);
}

Result<bool> write_output(std::string_view text) {
  const int error = write_all(STDOUT_FILENO, text);
  if (error == 0) return true;
  if (error == EPIPE) return false;
  return Error{"write", "to the standard output", errno_text(error), ""};
}

Result<void> write_page(const std::string& path, std::string_view text) {
  if (path == "-") {
    const auto written = write_output(text);
    return written ? Result<void>() : written.error();
  }
  if (!may_be_replaced(path)) {
    return Error{"write", path, "the existing file is not a waitprobe page", "name another, or remove it"};
  }
  struct stat status;
  const bool in_place = stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  const std::string unfinished = in_place ? path : path + ".part";
  const FileDescriptor file(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  int error = file.ok() ? write_all(file.get(), text) : errno;
  if (error == 0 && !in_place && rename(unfinished.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return {};
  if (!in_place) unlink(unfinished.c_str());
  return write_error(path, error);
}

}  // namespace waitprobe::cli
