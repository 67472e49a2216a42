// SPDX-License-Identifier: MIT
#include "src/serve/http_checks.h"

#include <strings.h>

#include <memory>

namespace waitprobe {
namespace {

constexpr std::size_t least_gzip_bytes = 1024;  // what fits into one packet anyhow is sent as it is

MHD_Result take_header(void* cls, MHD_ValueKind, const char* key, const char* value) {
  HttpHeaders& headers = *static_cast<HttpHeaders*>(cls);
  const std::string text = value == nullptr ? "" : value;
  const auto is = [key](const char* name) { return strcasecmp(key, name) == 0; };
  const auto join = [&text](std::string& all) { all += (all.empty() ? "" : ", ") + text; };
  if (is("Host")) {
    headers.host_cnt++;
    headers.host = text;
  } else if (is("Accept")) {
    join(headers.accept);
  } else if (is("Accept-Encoding")) {
    join(headers.accept_encoding);
  } else if (is("Transfer-Encoding") || (is("Content-Length") && text.find_first_not_of('0') != text.npos)) {
    headers.has_body = true;
  }
  return MHD_YES;
}

void free_body(void* cls) { delete static_cast<std::shared_ptr<const HttpBody>*>(cls); }

}  // namespace

HttpHeaders headers_of(MHD_Connection* connection) {
  HttpHeaders headers;
  MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &headers);
  return headers;
}

std::optional<HttpAnswer> refusal(std::string_view method, std::string_view version, const HttpHeaders& headers,
                                  const HostCheck* names) {
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return text_answer(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.\n");
  if (method != "GET" && method != "HEAD") {
    HttpAnswer answer = text_answer(405, "Only GET and HEAD are allowed.\n");
    answer.headers.emplace_back("Allow", "GET, HEAD");
    return answer;
  }
  if (headers.has_body) return text_answer(413, "A request may not have a body.\n");
  if (headers.host_cnt > 1) return text_answer(400, "The header Host is there more than once.\n");
  if (headers.host_cnt == 0) {
    if (version == "HTTP/1.1") return text_answer(400, "The header Host is missing.\n");
    return std::nullopt;  // browsers always send one
  }
  const auto host = host_of_header(headers.host);
  if (!host) return text_answer(400, "The header Host is malformed.\n");
  if (names != nullptr && !names->accepts(*host))
    return text_answer(403, "The name in the header Host is not a name of this server: " + *host +
                                ".\nUse an address, or name it in the options of the server.\n");
  return std::nullopt;
}

HttpAnswer unauthorized() {
  HttpAnswer answer = text_answer(401, "A user and a password are required.\n");
  answer.headers.emplace_back("WWW-Authenticate", "Basic realm=\"waitprobe\", charset=\"UTF-8\"");
  return answer;
}

HttpAnswer try_later(int status, int seconds, const std::string& why) {
  HttpAnswer answer = text_answer(status, why + " Try again later.\n");
  answer.headers.emplace_back("Retry-After", std::to_string(seconds));
  return answer;
}

bool is_worth_gzip(const HttpAnswer& answer) {
  return answer.body != nullptr && answer.body->plain().size() >= least_gzip_bytes;
}

MHD_Result send_answer(MHD_Connection* connection, const HttpAnswer& answer, bool as_gzip, bool is_last) {
  static const auto empty = std::make_shared<const HttpBody>("");
  const std::shared_ptr<const HttpBody>& body = answer.body ? answer.body : empty;
  const bool is_gzip = as_gzip && is_worth_gzip(answer) && !body->gzipped().empty();
  const std::string& bytes = is_gzip ? body->gzipped() : body->plain();
  // The response keeps the body, which may be that of many, until it is sent.
  auto* owner = new std::shared_ptr<const HttpBody>(body);
  MHD_Response* response =
      MHD_create_response_from_buffer_with_free_callback_cls(bytes.size(), const_cast<char*>(bytes.data()), free_body, owner);
  if (response == nullptr) {
    delete owner;
    return MHD_NO;
  }
  const auto add = [response](const char* name, const std::string& value) {
    MHD_add_response_header(response, name, value.c_str());
  };
  add("Content-Type", answer.content_type);
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Cache-Control", "no-store");
  add("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
                                     (answer.more_csp.empty() ? "" : "; " + answer.more_csp));
  add("Vary", is_worth_gzip(answer) ? "Accept, Accept-Encoding" : "Accept");  // the format, and how it is packed
  if (is_gzip) add("Content-Encoding", "gzip");
  for (const auto& [name, value] : answer.headers) add(name.c_str(), value);
  if (is_last) add("Connection", "close");
  const MHD_Result result = MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);  // MHD has its own reference
  return result;
}

}  // namespace waitprobe
