// SPDX-License-Identifier: MIT
#include "src/serve/service_manager.h"

#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>

namespace waitprobe {
namespace {

std::string taken_from_environment(const char* name) {
  const char* value = std::getenv(name);
  std::string result = value == nullptr ? "" : value;
  unsetenv(name);
  return result;
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\0') c = ' ';
  return text;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager manager;
  const std::string path = taken_from_environment("NOTIFY_SOCKET"), pid = taken_from_environment("WATCHDOG_PID");
  const auto watchdog_us = number(taken_from_environment("WATCHDOG_USEC"));
  // A path, or a name in the abstract namespace, which begins with '@' here and with a null byte there.
  if (path.size() < 2 || path.size() >= sizeof manager.address_.sun_path || (path[0] != '/' && path[0] != '@')) return manager;
  manager.address_.sun_family = AF_UNIX;
  path.copy(manager.address_.sun_path, path.size());
  if (path[0] == '@') manager.address_.sun_path[0] = '\0';
  manager.length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '/' ? 1 : 0));
  manager.socket_ = FileDescriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // Whoever does not read its messages does not stop the service from working.
  const timeval longest = {1, 0};
  if (manager.socket_.ok()) setsockopt(manager.socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
  const bool is_ours = pid.empty() || number(pid) == static_cast<std::uint64_t>(getpid());
  if (watchdog_us && *watchdog_us > 1 && is_ours) manager.watchdog_interval_ = std::chrono::microseconds(*watchdog_us / 2);
  return manager;
}

Result<void> ServiceManager::send(const std::string& lines) {
  if (!is_there()) return {};
  ssize_t sent;
  do {
    sent =
        sendto(socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address_), length_);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(lines.size())) return {};
  return Error{"notify", "the service manager", sent < 0 ? errno_text(errno) : "the message was cut", ""};
}

Result<void> ServiceManager::ready(const std::string& status) { return send("READY=1\nSTATUS=" + one_line(status)); }

Result<void> ServiceManager::reloading() {
  // Type=notify-reload tells by the time that this is the answer to its own signal.
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::uint64_t now_us =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  return send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us));
}

Result<void> ServiceManager::stopping() { return send("STOPPING=1"); }
Result<void> ServiceManager::status(const std::string& status) { return send("STATUS=" + one_line(status)); }
Result<void> ServiceManager::watchdog() { return send("WATCHDOG=1"); }

}  // namespace waitprobe
