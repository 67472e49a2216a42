// SPDX-License-Identifier: MIT
#include "src/serve/listen_address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace waitprobe {
namespace {

constexpr const char* address_hint = "write ADDRESS:PORT, such as 127.0.0.1:9464, [::1]:9464, or :9464 for all addresses";

Error wrong_address(const std::string& text, std::string why) {
  return {"listen on", "'" + text + "'", std::move(why), address_hint};
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  return result;
}

bool is_numeric(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

void set_any(ListenAddress& listen, std::uint16_t port) {
  auto& any = reinterpret_cast<sockaddr_in6&>(listen.address);
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  listen.length = sizeof any;
  listen.is_any = true;
}

void set_kind(ListenAddress& listen) {
  if (listen.address.ss_family == AF_INET) {
    const std::uint32_t ip = ntohl(reinterpret_cast<const sockaddr_in&>(listen.address).sin_addr.s_addr);
    listen.is_loopback = ip >> 24 == 127;
    listen.is_any = ip == INADDR_ANY;
  } else {
    const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(listen.address).sin6_addr;
    listen.is_loopback = IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == 127);
    listen.is_any = IN6_IS_ADDR_UNSPECIFIED(&ip);
  }
}

FileDescriptor new_socket(int family) { return FileDescriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

}  // namespace

Result<ListenAddress> parse_listen_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return wrong_address(text, "the port is missing");
  std::uint16_t port = 0;
  const char *first = text.data() + colon + 1, *last = text.data() + text.size();
  if (const auto parsed = std::from_chars(first, last, port); first == last || parsed.ptr != last || parsed.ec != std::errc())
    return wrong_address(text, "the port must be a number from 0 to 65535");
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find_first_of(":[]") != host.npos)
    return wrong_address(text, "an IPv6 address must be in brackets");

  ListenAddress listen;
  listen.text = text;
  if (host.empty()) {
    set_any(listen, port);
    return listen;
  }
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  if (const int failed = getaddrinfo(host.c_str(), text.c_str() + colon + 1, &hints, &found); failed != 0)
    return wrong_address(text, failed == EAI_SYSTEM ? errno_text(errno) : gai_strerror(failed));
  // Of a name with both, the IPv4 address: what people write into other programs beside "localhost" is 127.0.0.1.
  const addrinfo* chosen = found;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next)
    if (one->ai_family == AF_INET) {
      chosen = one;
      break;
    }
  std::memcpy(&listen.address, chosen->ai_addr, chosen->ai_addrlen);
  listen.length = chosen->ai_addrlen;
  freeaddrinfo(found);
  set_kind(listen);
  return listen;
}

Result<ListeningSocket> listen_on(const ListenAddress& listen) {
  sockaddr_storage address = listen.address;
  socklen_t length = listen.length;
  ListeningSocket result;
  result.fd = new_socket(address.ss_family);
  if (!result.fd.ok() && errno == EAFNOSUPPORT && listen.is_any) {  // a kernel without IPv6
    auto& any = reinterpret_cast<sockaddr_in&>(address);
    const in_port_t port = reinterpret_cast<const sockaddr_in6&>(listen.address).sin6_port;
    address = {};
    any.sin_family = AF_INET;
    any.sin_port = port;
    length = sizeof any;
    result.fd = new_socket(AF_INET);
  }
  const auto failed = [&listen](int error) {
    Error why = {"listen on", listen.text, errno_text(error), ""};
    if (error == EADDRINUSE) why.hint = "end the program that listens there, or choose another port";
    if (error == EADDRNOTAVAIL) why.hint = "choose an address of this machine ('ip address' lists them)";
    if (error == EACCES) why.hint = "choose a port from 1024 on: lower ones need CAP_NET_BIND_SERVICE";
    return why;
  };
  if (!result.fd.ok()) return failed(errno);
  // Connections inherit it. By default the kernel keeps megabytes for each client that does not read.
  constexpr int unsent_bytes = 256 * 1024;
  const int on = 1, off = 0;
  setsockopt(result.fd.get(), SOL_SOCKET, SO_SNDBUF, &unsent_bytes, sizeof unsent_bytes);
  setsockopt(result.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ss_family == AF_INET6 && listen.is_any) setsockopt(result.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(result.fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return failed(errno);
  if (::listen(result.fd.get(), SOMAXCONN) != 0) return failed(errno);
  length = sizeof address;
  if (getsockname(result.fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return failed(errno);
  result.port = ntohs(address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                                   : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return result;
}

std::string address_text(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address != nullptr && address->sa_family == AF_INET)
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  if (address != nullptr && address->sa_family == AF_INET6) {
    const in6_addr& ip = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&ip))
      inet_ntop(AF_INET, ip.s6_addr + 12, text, sizeof text);
    else
      inet_ntop(AF_INET6, &ip, text, sizeof text);
  }
  return text;
}

std::string network_text(const sockaddr* address) {
  if (address == nullptr || address->sa_family != AF_INET6) return address_text(address);
  sockaddr_in6 network = *reinterpret_cast<const sockaddr_in6*>(address);
  if (!IN6_IS_ADDR_V4MAPPED(&network.sin6_addr)) std::memset(network.sin6_addr.s6_addr + 8, 0, 8);
  return address_text(reinterpret_cast<const sockaddr*>(&network));
}

std::optional<std::string> host_of_header(std::string_view header) {
  std::string host, port;
  if (!header.empty() && header.front() == '[') {
    const auto end = header.find(']');
    if (end == header.npos) return std::nullopt;
    host = header.substr(1, end - 1);
    unsigned char bytes[sizeof(in6_addr)];
    if (inet_pton(AF_INET6, host.c_str(), bytes) != 1) return std::nullopt;
    header.remove_prefix(end + 1);
    if (!header.empty() && header.front() != ':') return std::nullopt;
  } else {
    host = header.substr(0, header.find(':'));
    header.remove_prefix(host.size());
    if (host.empty() || host.size() > 253) return std::nullopt;
    const auto is_of_name = [](unsigned char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    if (!std::all_of(host.begin(), host.end(), is_of_name)) return std::nullopt;
    if (host.back() == '.') host.pop_back();
  }
  if (!header.empty()) header.remove_prefix(1);
  if (header.size() > 5 || !std::all_of(header.begin(), header.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return lower(host);
}

HostCheck::HostCheck(const ListenAddress& address, std::vector<std::string> names) : names_(std::move(names)) {
  std::erase(names_, "");
  for (std::string& name : names_) name = lower(name);
  if (address.is_loopback || address.is_any) names_.push_back("localhost");
  char own[256] = "";
  if (!address.is_loopback && gethostname(own, sizeof own - 1) == 0 && own[0] != '\0') names_.push_back(lower(own));
  // The name that it was told to listen on.
  if (const auto host = host_of_header(address.text)) names_.push_back(*host);
}

bool HostCheck::accepts(const std::string& host) const {
  if (is_numeric(host)) return true;
  return std::any_of(names_.begin(), names_.end(), [&host](const std::string& name) {
    return host == name || (name.front() == '.' && host.ends_with(name));
  });
}

}  // namespace waitprobe
