// SPDX-License-Identifier: MIT
//
// The part of HTTP that is the same whatever is served: which requests are refused, and what every response says.
#pragma once

#include <microhttpd.h>

#include <optional>
#include <string>
#include <string_view>

#include "src/serve/http_content.h"
#include "src/serve/listen_address.h"

namespace waitprobe {

// What matters of the headers of a request.
struct HttpHeaders {
  unsigned host_cnt = 0;
  std::string host;
  std::string accept, accept_encoding;  // joined by ", "
  bool has_body = false;                // it says so: by a length that is not 0, or by Transfer-Encoding
};

HttpHeaders headers_of(MHD_Connection* connection);

// The refusal, or nothing if the request may be answered. `names` is null if any Host will do.
std::optional<HttpAnswer> refusal(std::string_view method, std::string_view version, const HttpHeaders& headers,
                                  const HostCheck* names);

// 401 with what a client must send.
HttpAnswer unauthorized();
// 429 or 503, with a sentence that says why.
HttpAnswer try_later(int status, int seconds, const std::string& why);

// Sends it, and what is the same in all responses. `is_last`: the connection is closed then. Returns what MHD wants to know.
MHD_Result send_answer(MHD_Connection* connection, const HttpAnswer& answer, bool as_gzip, bool is_last);

// Whether send_answer() would compress it. The first to ask for HttpBody::gzipped() waits for it.
bool is_worth_gzip(const HttpAnswer& answer);

}  // namespace waitprobe
