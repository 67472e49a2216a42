// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/model/result.h"

namespace waitprobe {

struct OtlpPushOptions {
  std::string url;                   // http:// or https://; without a path: /v1/metrics
  std::vector<std::string> headers;  // more of them: "Authorization: Bearer ..."
  std::string ca_file;               // PEM: authorities that may sign the receiver's certificate; empty: the system's
  std::chrono::milliseconds interval{15'000};
  std::chrono::milliseconds timeout{10'000};  // of a request
  // After failures: the wait doubles from the first to the last, less up to half of it by chance.
  std::chrono::milliseconds first_wait{1'000}, longest_wait{60'000};
};

struct OtlpPushCounts {
  std::uint64_t sent = 0;     // bodies that the receiver has taken
  std::uint64_t failed = 0;   // requests that it did not take, or not at all
  std::uint64_t dropped = 0;  // bodies: a newer one took their place, or the receiver does not want them
  std::string last_error;     // of the last request; empty if it was taken
};

// Posts OTLP/HTTP JSON to a receiver at each interval, from a thread of its own. As the protocol says, 429, 502, 503, 504 and
// a receiver that is not there are tried again, Retry-After included, and other answers are not. Since totals are cumulative,
// only the newest body is kept meanwhile. Redirects are not followed; a proxy is used if the environment has one (https_proxy).
class OtlpPush {
 public:
  // `make_body` is called on the thread, first after one interval; if it throws, there is no body this time. Errors: the URL
  // or a header is malformed, or there is no thread. Whether the receiver is there turns out later, in counts().
  static Result<OtlpPush> start(OtlpPushOptions options, std::function<std::string()> make_body);

  OtlpPush(OtlpPush&&) noexcept;
  OtlpPush& operator=(OtlpPush&&) noexcept;
  // stop()
  ~OtlpPush();

  // Thread-safe.
  OtlpPushCounts counts() const;
  // Ends a request wherever it is at; what has not been sent is not sent. Waits for a call of `make_body`, and nothing else.
  void stop();

 private:
  class Running;
  explicit OtlpPush(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

// The URL that is posted to. Errors: it is none of http or https.
Result<std::string> otlp_url(const std::string& url);

}  // namespace waitprobe
