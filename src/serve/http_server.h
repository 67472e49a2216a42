// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/model/result.h"
#include "src/serve/http_connections.h"
#include "src/serve/http_content.h"
#include "src/serve/listen_address.h"
#include "src/serve/web_config.h"

namespace waitprobe {

struct HttpServerOptions {
  ListenAddress listen;
  WebConfig web;
  // Further names that it may be called by (HostCheck). With TLS every name will do: whoever has one that resolves to this
  // machine has no certificate for it.
  std::vector<std::string> host_names;
  HttpConnectionLimits limits;
  std::chrono::milliseconds turn{5'000};  // that a request may wait for its turn; then it gets 503
};

struct HttpServerCounts {
  std::uint64_t answered = 0;  // by the content
  std::uint64_t refused = 0;   // by the server
  std::uint64_t ended = 0;     // connections that took too long, or were too many
  unsigned connections = 0;    // now
};

// An HTTP/1.1 server for GET and HEAD, by libmicrohttpd. One thread does all I/O and never waits for anything else; two make
// the answers. Slow, idle and broken clients hold up nobody and cost a bounded amount of memory: see HttpConnectionLimits. A
// request line and headers of more than some 12 KiB are refused (414, 431). A third thread checks passwords (see Passwords).
class HttpServer {
 public:
  // `content` must outlive the server. It listens when this returns. Errors: those of listen_on() and
  // TlsCertificate::read(), and no threads or memory.
  static Result<HttpServer> start(HttpServerOptions options, HttpContent& content);

  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) noexcept;
  // stop()
  ~HttpServer();

  std::uint16_t port() const;
  // Thread-safe.
  HttpServerCounts counts() const;
  // Other users, from the next request on; TLS stays as it was. Thread-safe.
  void replace_users(std::map<std::string, std::string> users);
  // Ends all connections, whatever they are at. Waits for calls of HttpContent::answer() and checks of a password that have
  // begun, and for nothing else.
  void stop();

 private:
  class Running;
  explicit HttpServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace waitprobe
