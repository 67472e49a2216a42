// SPDX-License-Identifier: MIT
#include "src/export/metrics_format.h"

#include <algorithm>
#include <optional>
#include <string>

namespace waitprobe {
namespace {

// One range of media types in the header, with its parameters.
struct MediaRange {
  std::string type;      // in small letters: "text/plain"
  std::string version;   // empty: any
  std::string proto;     // as it stands
  std::string encoding;  // in small letters
  int q = 1000;          // thousandths
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string small_letters(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return small;
}

// Removes and returns what comes before the next separator that is not between quotation marks.
std::string_view take_until(std::string_view& text, char separator) {
  bool is_quoted = false;
  std::size_t i = 0;
  for (; i < text.size() && (is_quoted || text[i] != separator); i++) {
    if (text[i] == '"') is_quoted = !is_quoted;
    if (text[i] == '\\' && is_quoted) i++;
  }
  i = std::min(i, text.size());
  const std::string_view part = trimmed(text.substr(0, i));
  text.remove_prefix(std::min(i + 1, text.size()));
  return part;
}

// "1", "0.25"; nothing if it is no number of HTTP's form.
std::optional<int> thousandths(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1') || (text.size() > 1 && text[1] != '.')) {
    return std::nullopt;
  }
  int q = (text[0] - '0') * 1000, unit = 100;
  for (std::size_t i = 2; i < text.size(); i++, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    q += (text[i] - '0') * unit;
  }
  return q <= 1000 ? std::optional(q) : std::nullopt;
}

// Nothing if it is broken.
std::optional<MediaRange> parse_range(std::string_view text) {
  MediaRange range;
  range.type = small_letters(take_until(text, ';'));
  while (!text.empty()) {
    std::string_view value = take_until(text, ';');
    const std::string name = small_letters(take_until(value, '='));
    value = trimmed(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (name == "q") {
      const auto q = thousandths(value);
      if (!q) return std::nullopt;
      range.q = *q;
    } else if (name == "version") {
      range.version = value;
    } else if (name == "proto") {
      range.proto = value;
    } else if (name == "encoding") {
      range.encoding = small_letters(value);
    }
  }
  return range;
}

// Nothing: none of the formats is one of these. Wildcards mean text.
std::optional<MetricsFormat> format_of(const MediaRange& range) {
  if (range.type == "*/*" || range.type == "text/*") return MetricsFormat::prometheus_text;
  if (range.type == "text/plain" && (range.version.empty() || range.version == "0.0.4")) return MetricsFormat::prometheus_text;
  if (range.type == "application/openmetrics-text" && (range.version.empty() || range.version == "1.0.0")) {
    return MetricsFormat::openmetrics;
  }
  if (range.type == "application/vnd.google.protobuf" && range.proto == "io.prometheus.client.MetricFamily" &&
      range.encoding == "delimited") {
    return MetricsFormat::prometheus_protobuf;
  }
  return std::nullopt;
}

}  // namespace

MetricsFormat negotiate_format(std::string_view accept) {
  MetricsFormat best = MetricsFormat::prometheus_text;
  int best_q = 0;
  while (!accept.empty()) {
    const auto range = parse_range(take_until(accept, ','));
    if (!range || range->q <= best_q) continue;
    if (const auto format = format_of(*range)) {
      best = *format;
      best_q = range->q;
    }
  }
  return best;
}

const char* content_type(MetricsFormat format) {
  switch (format) {
    case MetricsFormat::openmetrics:
      return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    case MetricsFormat::prometheus_protobuf:
      return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    case MetricsFormat::prometheus_text:
      break;
  }
  return "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace waitprobe
