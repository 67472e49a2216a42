// SPDX-License-Identifier: MIT
#include "src/collect/machine/file_write.h"

#include <unistd.h>

#include <cerrno>

namespace waitprobe {

int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

Error write_error(const std::string& path, int error) {
  const char* hint = "";
  if (error == ENOENT) hint = "make its folder, or name another file";
  if (error == EACCES || error == EPERM || error == EROFS) hint = "name a file that you may write to";
  if (error == ENOSPC || error == EDQUOT) hint = "make room, or name a file in another place";
  return {"write", path, errno_text(error), hint};
}

}  // namespace waitprobe
