// SPDX-License-Identifier: MIT
//
// What a service says to systemd (Type=notify, or notify-reload), or to another manager with the same protocol. It is one
// datagram with lines of text for each message, and documented as stable (sd_notify(3)). So there is no need of libsystemd,
// which brings libgcrypt and three compressors into a process with capabilities.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <optional>
#include <string>

#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// Methods are not thread-safe. Where there is no manager, they do nothing. Errors: the manager does not take the message within
// a second. They are no reason to end.
class ServiceManager {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are removed from the environment: they are for this process, and
  // not for programs that it starts. REQUIRES: there is no other thread.
  static ServiceManager from_environment();

  bool is_there() const { return socket_.ok(); }
  // The service does its work; `status` is a line for people (systemctl status).
  Result<void> ready(const std::string& status);
  // Before configuration is read again; ready() says that this is done.
  Result<void> reloading();
  Result<void> stopping();
  Result<void> status(const std::string& status);

  // How often watchdog() has to be called: half of what the manager waits before it restarts the service. Nothing: not at all.
  std::optional<std::chrono::microseconds> watchdog_interval() const { return watchdog_interval_; }
  Result<void> watchdog();

 private:
  Result<void> send(const std::string& lines);

  FileDescriptor socket_;
  sockaddr_un address_ = {};
  socklen_t length_ = 0;
  std::optional<std::chrono::microseconds> watchdog_interval_;
};

}  // namespace waitprobe
