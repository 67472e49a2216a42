// SPDX-License-Identifier: MIT
//
// What an HTTP server serves, as its caller implements it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace waitprobe {

// A GET or HEAD request that has passed all checks of the server.
struct HttpRequest {
  std::string path;    // as sent, not percent-decoded, without the query; begins with '/' unless the client sent something else
  std::string query;   // what follows '?', not percent-decoded; may be empty
  std::string accept;  // header Accept; several are joined by ", "; may be empty
  std::string user;    // whose password was right; empty if the server has no users
  std::string peer;    // the client's numeric address, without its port
  std::uint64_t came_ns = 0;  // when its headers had come, of CLOCK_MONOTONIC
};

// Bytes that any number of answers may share. Thread-safe.
class HttpBody {
 public:
  explicit HttpBody(std::string bytes) : plain_(std::move(bytes)) {}

  const std::string& plain() const { return plain_; }
  // The same as a gzip file, made by the first caller; empty if there was no memory for it.
  const std::string& gzipped() const;

 private:
  std::string plain_;
  mutable std::once_flag once_;
  mutable std::string gzipped_;
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;  // more of them; neither may contain line ends
  std::string more_csp;  // directives of the Content-Security-Policy beyond default-src 'none': "style-src 'sha256-...'"
  std::shared_ptr<const HttpBody> body;  // null: empty. For HEAD too: the server sends its length alone.
};

HttpAnswer text_answer(int status, std::string text);

class HttpContent {
 public:
  virtual ~HttpContent() = default;
  // Called on threads of the server: for different paths at the same time, for the same path one after another. A request that
  // waits too long for its turn gets 503 from the server. HttpServer::stop() waits for calls that have begun.
  virtual HttpAnswer answer(const HttpRequest& request) = 0;
};

// Whether a header Accept-Encoding wants gzip: its weight is above 0, by name or by "*".
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace waitprobe
