// SPDX-License-Identifier: MIT
#include "src/export/classic_buckets.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "bpf/bucket.h"

namespace waitprobe {
namespace {

constexpr std::uint32_t buckets_per_octave = 8;

// The bucket of bpf/bucket.h with this upper bound.
std::uint32_t bucket_up_to(int bound) {
  return static_cast<std::uint32_t>(WP_BUCKET_OF_1S + static_cast<int>(buckets_per_octave) * bound);
}

bool is_in_range(double bound) { return bound >= least_classic_bound && bound <= greatest_classic_bound; }

Error refusal(std::string_view item, const std::string& why) {
  return {"use the bucket bound", "'" + std::string(item) + "'", why,
          "Bounds are powers of two of a second, from 2^-30 to 2^13, such as 2^-10,2^-3,1,16."};
}

template <class Number>
std::optional<Number> parsed(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<int> parse_bound(std::string_view item) {
  if (item.starts_with("2^")) {
    const auto exponent = parsed<int>(item.substr(2));
    if (!exponent) return refusal(item, "not a power of two");
    if (!is_in_range(*exponent)) return refusal(item, "out of range");
    return *exponent;
  }
  const auto seconds = parsed<double>(item);
  if (!seconds || !std::isfinite(*seconds)) return refusal(item, "not a number of seconds");
  if (*seconds <= 0 || !is_in_range(std::log2(*seconds))) return refusal(item, "out of range");
  const int below = static_cast<int>(std::floor(std::log2(*seconds)));
  if (std::ldexp(1.0, below) != *seconds) {
    return refusal(item, "not a power of two of a second; the next ones are 2^" + std::to_string(below) + " (" +
                             classic_bound_text(below) + ") and 2^" + std::to_string(below + 1) + " (" +
                             classic_bound_text(below + 1) + ")");
  }
  return below;
}

}  // namespace

const ClassicBounds& default_classic_bounds() {
  static const ClassicBounds bounds = {-20, -16, -13, -10, -8, -6, -4, -2, 0, 2, 5};
  return bounds;
}

Result<ClassicBounds> parse_classic_bounds(std::string_view text) {
  ClassicBounds bounds;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view item = text.substr(at, end - at);
    item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
    item = item.substr(0, item.find_last_not_of(' ') + 1);
    const auto bound = parse_bound(item);
    if (!bound) return bound.error();
    bounds.push_back(*bound);
    at = end + 1;
  }
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  return bounds;
}

std::string classic_bound_text(int bound) {
  // Go's format %g, with ".0" behind whole numbers: what Prometheus makes of a bound that it gets as a number.
  char digits[32];
  const auto format = bound < -13 ? std::chars_format::scientific : std::chars_format::fixed;
  std::string text(digits, std::to_chars(digits, digits + sizeof digits, std::ldexp(1.0, bound), format).ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::vector<std::uint64_t> cumulative_counts(const MetricHistogram& histogram, const ClassicBounds& bounds) {
  std::vector<std::uint64_t> counts;
  counts.reserve(bounds.size());
  std::uint64_t count = 0;
  auto bucket = histogram.buckets.begin();
  for (const int bound : bounds) {
    for (; bucket != histogram.buckets.end() && bucket->first <= bucket_up_to(bound); ++bucket) count += bucket->second;
    counts.push_back(count);
  }
  return counts;
}

std::map<std::size_t, const Exemplar*> classic_exemplars(const MetricSample& sample, const ClassicBounds& bounds) {
  std::map<std::size_t, const Exemplar*> slowest;
  std::size_t i = 0;
  for (const auto& [bucket, exemplar] : sample.exemplars) {
    while (i < bounds.size() && bucket > bucket_up_to(bounds[i])) i++;
    const Exemplar*& of_bucket = slowest[i];
    if (of_bucket == nullptr || exemplar.duration_ns >= of_bucket->duration_ns) of_bucket = &exemplar;
  }
  return slowest;
}

}  // namespace waitprobe
