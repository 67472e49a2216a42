// SPDX-License-Identifier: MIT
#include "src/collect/trace/rendezvous.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

namespace waitprobe {

Result<Rendezvous> Rendezvous::open() {
  Rendezvous meeting;
  std::uint64_t random = 0;
  (void)!getrandom(&random, sizeof random, 0);
  char name[40];
  const int length = std::snprintf(name, sizeof name, "waitprobe-%016llx", static_cast<unsigned long long>(random));
  meeting.name_ = name;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  meeting.name_.copy(address.sun_path + 1, sizeof address.sun_path - 1);  // after a zero byte: an abstract name
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<std::size_t>(length));

  meeting.listener_ = FileDescriptor(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int listener = meeting.listener_.get();
  if (!meeting.listener_.ok() || bind(listener, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      listen(listener, SOMAXCONN) != 0) {
    return Error{"open a socket for", "the command to be started", errno_text(errno), ""};
  }
  return meeting;
}

void Rendezvous::add_to(std::vector<pollfd>& waits) const {
  waits.push_back({listener_.get(), POLLIN, 0});
  for (const Visitor& visitor : visitors_) waits.push_back({visitor.socket.get(), POLLIN, 0});
}

void Rendezvous::serve(const std::function<bool(std::uint32_t)>& wanted, const Arrived& arrived) {
  for (;;) {
    FileDescriptor fresh(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fresh.ok()) break;
    ucred peer = {};
    socklen_t size = sizeof peer;
    if (getsockopt(fresh.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
    if (!wanted(static_cast<std::uint32_t>(peer.pid))) continue;  // any user may connect
    visitors_.push_back({std::move(fresh), static_cast<std::uint32_t>(peer.pid)});
  }
  std::erase_if(visitors_, [&](Visitor& visitor) {
    std::uint64_t root_address = 0;
    const ssize_t got = recv(visitor.socket.get(), &root_address, sizeof root_address, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got == static_cast<ssize_t>(sizeof root_address)) {
      arrived(visitor.pid, root_address, [&visitor] {
        pollfd state = {visitor.socket.get(), 0, 0};
        return poll(&state, 1, 0) == 0;  // it has closed its end otherwise
      });
      const char attached = 1;
      (void)!send(visitor.socket.get(), &attached, 1, MSG_NOSIGNAL);
    }
    return true;
  });
}

}  // namespace waitprobe
