// SPDX-License-Identifier: MIT
#include "src/serve/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "src/collect/machine/file_descriptor.h"

namespace waitprobe {

Result<TextFile> read_text_file(const std::string& path) {
  constexpr std::size_t most_bytes = 1 << 20;
  const auto failed = [&path](std::string why) { return Error{"read", path, std::move(why), ""}; };
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe without a writer is empty
  TextFile file;
  if (!fd.ok() || fstat(fd.get(), &file.stat) != 0) return failed(errno_text(errno));
  char buffer[4096];
  while (true) {
    const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(errno_text(errno));
    if (size == 0) return file;
    file.text.append(buffer, static_cast<std::size_t>(size));
    if (file.text.size() > most_bytes) return failed("the file is larger than 1 MiB");
  }
}

}  // namespace waitprobe
