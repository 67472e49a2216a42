// SPDX-License-Identifier: MIT
//
// The addresses that a server listens on, and the names it may be called by.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// "127.0.0.1:9464", "[::1]:9464", "localhost:9464", "web1:9464", or ":9464" for all addresses of the machine, IPv4 and IPv6.
struct ListenAddress {
  std::string text;  // as given, for messages
  sockaddr_storage address = {};
  socklen_t length = 0;
  bool is_loopback = false;
  bool is_any = false;  // all addresses of the machine
};

// Port 0 is a free port. Resolves names, which may take seconds. Errors: malformed, or no such name.
Result<ListenAddress> parse_listen_address(const std::string& text);

struct ListeningSocket {
  FileDescriptor fd;  // not blocking
  std::uint16_t port = 0;
};

// Errors: the address is in use or not of this machine, or the right to a port below 1024 is missing.
Result<ListeningSocket> listen_on(const ListenAddress& address);

// The address of a peer without its port: "127.0.0.1", "::1"; IPv4 also where the socket is IPv6.
std::string address_text(const sockaddr* address);

// What is limited as one client: an IPv4 address, or the first half of an IPv6 address, all of which one client has.
std::string network_text(const sockaddr* address);

// The name or address in a header Host, in lower case, without port, brackets and a last dot; nothing if it is malformed.
std::optional<std::string> host_of_header(std::string_view header);

// Whether a request is meant for this server, by its header Host. A page of a stranger can have its own name resolve to an
// address of this machine ("DNS rebinding"), and then read what the server answers; but the browser sends that name. So only
// known names are accepted. An address cannot be rebound, so every address is: with port forwarding, it is another than ours.
class HostCheck {
 public:
  // Names that are given: "web1.example.org", or ".example.org" for all names that end so.
  HostCheck(const ListenAddress& address, std::vector<std::string> names);

  // `host` is what host_of_header() returned. Thread-safe.
  bool accepts(const std::string& host) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace waitprobe
