// SPDX-License-Identifier: MIT
#include "src/serve/http_content.h"

#include <strings.h>
#include <zlib.h>

#include <optional>

namespace waitprobe {
namespace {

std::string gzip(const std::string& plain) {
  z_stream stream = {};
  constexpr int gzip_window = 15 + 16;  // the largest window, in a gzip file
  // Exposition formats repeat themselves: the fastest level already makes a tenth of them.
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool is_done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(is_done ? stream.total_out : 0);
  deflateEnd(&stream);
  packed.shrink_to_fit();
  return packed;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Of "gzip;q=0.5": whether its weight is above 0.
bool is_wanted(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto end = parameters.find(';');
    const std::string_view one = trimmed(parameters.substr(0, end));
    if (one.size() > 2 && same(one.substr(0, 2), "q=")) return one.find_first_of("123456789") != one.npos;
    parameters = end == parameters.npos ? std::string_view() : parameters.substr(end + 1);
  }
  return true;
}

}  // namespace

const std::string& HttpBody::gzipped() const {
  std::call_once(once_, [this] { gzipped_ = gzip(plain_); });
  return gzipped_;
}

HttpAnswer text_answer(int status, std::string text) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = std::make_shared<const HttpBody>(std::move(text));
  return answer;
}

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> by_name, by_star;
  while (!accept_encoding.empty()) {
    const auto end = accept_encoding.find(',');
    const std::string_view one = accept_encoding.substr(0, end);
    const auto name_end = one.find(';');
    const std::string_view name = trimmed(one.substr(0, name_end));
    const bool wanted = name_end == one.npos || is_wanted(one.substr(name_end + 1));
    if (same(name, "gzip") || same(name, "x-gzip")) by_name = wanted;
    if (name == "*") by_star = wanted;
    accept_encoding = end == accept_encoding.npos ? std::string_view() : accept_encoding.substr(end + 1);
  }
  return by_name.value_or(by_star.value_or(false));
}

}  // namespace waitprobe
