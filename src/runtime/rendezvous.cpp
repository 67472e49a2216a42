// SPDX-License-Identifier: MIT
#include "src/runtime/rendezvous.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "src/runtime/clock.h"
#include "src/runtime/errno_keeper.h"
#include "src/runtime/probes.h"

namespace waitprobe::detail {
namespace {

std::uint64_t now_us() noexcept { return monotonic_ns() / 1000; }

// Connects, even if the tool has its hands full. The signals of a program that has set a timer come here too.
bool connect_until(int tool, const sockaddr_un& address, socklen_t size, std::uint64_t deadline_us) noexcept {
  for (std::uint64_t now = now_us(); now < deadline_us; now = now_us()) {
    const timeval rest = {static_cast<time_t>((deadline_us - now) / 1'000'000),
                          static_cast<suseconds_t>((deadline_us - now) % 1'000'000)};
    setsockopt(tool, SOL_SOCKET, SO_SNDTIMEO, &rest, sizeof rest);  // connect() waits by it
    if (connect(tool, reinterpret_cast<const sockaddr*>(&address), size) == 0) return true;
    if (errno != EINTR) return false;
  }
  return false;
}

// Waits until the tool answers or is gone.
void await_answer(int tool, std::uint64_t deadline_us) noexcept {
  for (std::uint64_t now = now_us(); now < deadline_us; now = now_us()) {
    pollfd waited = {tool, POLLIN, 0};
    if (poll(&waited, 1, static_cast<int>((deadline_us - now + 999) / 1000)) >= 0 || errno != EINTR) return;
  }
}

}  // namespace

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
  const std::uint64_t deadline_us = now_us() + WP_PATIENCE_NS / 1000;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (connect_until(tool, address, size, deadline_us)) {
    const auto root = reinterpret_cast<std::uint64_t>(&waitprobe_root);
    if (send(tool, &root, sizeof root, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(sizeof root)) {
      await_answer(tool, deadline_us);
    }
  }
  close(tool);
}

}  // namespace waitprobe::detail
