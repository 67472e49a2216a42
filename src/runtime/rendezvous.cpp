// SPDX-License-Identifier: MIT
#include "src/runtime/rendezvous.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "src/runtime/errno_keeper.h"
#include "src/runtime/probes.h"

namespace waitprobe::detail {

void meet_tool() noexcept {
  const char* name = secure_getenv("WAITPROBE_ATTACH");
  if (name == nullptr) return;
  const ErrnoKeeper keeper;

  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(name);
  if (length == 0 || length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path + 1, name, length);  // after a zero byte: an abstract name

  const int tool = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (tool < 0) return;
  const timeval patience = {2, 0};
  setsockopt(tool, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);  // connect() waits by it too
  setsockopt(tool, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (connect(tool, reinterpret_cast<const sockaddr*>(&address), size) == 0) {
    const auto root = reinterpret_cast<std::uint64_t>(&waitprobe_root);
    char attached = 0;
    if (send(tool, &root, sizeof root, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof root)) {
      (void)!recv(tool, &attached, 1, 0);
    }
  }
  close(tool);
}

}  // namespace waitprobe::detail
