// SPDX-License-Identifier: MIT
#include "src/view/units.h"

#include <charconv>
#include <ctime>

namespace waitprobe {
namespace {

// At most four digits: 1.23, 12.3, 123, 1234.
std::string significant(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, decimals).ptr;
  return {text, end};
}

std::string two_digits(std::uint64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); }

std::string pair(std::uint64_t big, const char* big_unit, std::uint64_t small, const char* small_unit) {
  return std::to_string(big) + big_unit + two_digits(small) + small_unit;
}

std::string scaled(double value) {
  for (const char* unit : {"", "k", "M", "G", "T", "P"}) {
    if (value < 999.5) return significant(value) + unit;
    value /= 1000;
  }
  return significant(value) + "E";
}

std::string local_time(std::uint64_t unix_ns, const char* format) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000U);
  std::tm local = {};
  localtime_r(&seconds, &local);
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &local)};
}

}  // namespace

std::string format_duration(std::uint64_t ns) {
  if (ns < 1000) return std::to_string(ns) + "ns";
  double value = static_cast<double>(ns);
  for (const char* unit : {"us", "ms", "s"}) {
    value /= 1000;
    if (value < (*unit == 's' ? 59.95 : 999.5)) return significant(value) + unit;
  }
  const std::uint64_t s = ns / 1'000'000'000 + (ns % 1'000'000'000 >= 500'000'000 ? 1 : 0);
  if (s < 3600) return pair(s / 60, "m", s % 60, "s");
  if (s < 86400) return pair(s / 3600, "h", s % 3600 / 60, "m");
  if (s < 100 * 86400) return pair(s / 86400, "d", s % 86400 / 3600, "h");
  if (s < 100'000 * std::uint64_t{86400}) return std::to_string(s / 86400) + "d";
  return std::to_string(s / (365 * 86400)) + "y";
}

std::string format_count(std::uint64_t count) {
  return count < 10'000'000 ? std::to_string(count) : scaled(static_cast<double>(count));
}

std::string format_rate(double per_second) {
  return per_second >= 999.5 && per_second < 9999.5 ? significant(per_second) : scaled(per_second);
}

std::string format_rate(std::uint64_t count, std::uint64_t elapsed_ns) {
  if (elapsed_ns == 0) return "-";
  return format_rate(static_cast<double>(count) * 1e9 / static_cast<double>(elapsed_ns));
}

std::string format_time_of_day(std::uint64_t unix_ns) { return local_time(unix_ns, "%H:%M:%S"); }

std::string format_time_of_day_ms(std::uint64_t unix_ns) {
  const std::string digits = std::to_string(1000 + unix_ns / 1'000'000 % 1000);
  return format_time_of_day(unix_ns) + "." + digits.substr(1);
}

std::string format_date(std::uint64_t unix_ns) { return local_time(unix_ns, "%Y-%m-%d"); }

std::string format_time_zone(std::uint64_t unix_ns) {
  const std::string offset = local_time(unix_ns, "%z");  // "+0100"
  return "UTC" + offset.substr(0, 3) + ":" + offset.substr(3);
}

std::string format_interval(std::uint64_t from_unix_ns, std::uint64_t to_unix_ns) {
  constexpr std::uint64_t long_enough_ns = 990'000'000;  // for whole seconds: intervals are as long as the machine lets them be
  const auto time = to_unix_ns - from_unix_ns < long_enough_ns ? format_time_of_day_ms : format_time_of_day;
  return time(from_unix_ns) + " to " + time(to_unix_ns);
}

std::string format_span(std::uint64_t from_unix_ns, std::uint64_t to_unix_ns) {
  return "Times: " + format_interval(from_unix_ns, to_unix_ns) + " (" + format_duration(to_unix_ns - from_unix_ns) + "), " +
         format_time_zone(to_unix_ns);
}

std::string format_date_and_time(std::uint64_t unix_ns) { return local_time(unix_ns, "%Y-%m-%d %H:%M:%S"); }

}  // namespace waitprobe
