// SPDX-License-Identifier: MIT
#include "src/cli/moment.h"

#include <ctime>

namespace waitprobe::cli {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

// Whether all of the text is of this format of strptime().
bool fits(const std::string& text, const char* format, std::tm& time) {
  time = {};
  const char* const end = strptime(text.c_str(), format, &time);
  return end != nullptr && *end == '\0' && text.find('\0') == std::string::npos;
}

std::uint64_t unix_ns(std::tm time) {
  time.tm_isdst = -1;
  const std::time_t seconds = std::mktime(&time);
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds) * second_ns;
}

}  // namespace

std::optional<Moment> parse_moment(const std::string& text) {
  std::tm time;
  for (const char* format : {"%H:%M:%S", "%H:%M"}) {
    if (!fits(text, format, time)) continue;
    const auto seconds = static_cast<std::uint64_t>(time.tm_hour * 3600 + time.tm_min * 60 + time.tm_sec);
    return Moment{Moment::Kind::time_of_day, seconds * second_ns};
  }
  for (const char* format : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"}) {
    if (fits(text, format, time)) return Moment{Moment::Kind::date_and_time, unix_ns(time)};
  }
  const auto ns = parse_duration(text);
  if (!ns) return std::nullopt;
  return Moment{Moment::Kind::after_begin, *ns};
}

std::uint64_t after_begin(const Moment& moment, std::uint64_t begin_unix_ns, std::uint64_t latest_unix_ns) {
  if (moment.kind == Moment::Kind::after_begin) return moment.ns;
  std::uint64_t wanted_ns = moment.ns;
  if (moment.kind == Moment::Kind::time_of_day) {
    const auto begin = static_cast<std::time_t>(begin_unix_ns / second_ns);
    std::tm day = {};
    localtime_r(&begin, &day);
    const auto seconds = static_cast<int>(moment.ns / second_ns);
    day.tm_hour = seconds / 3600;
    day.tm_min = seconds / 60 % 60;
    day.tm_sec = seconds % 60;
    wanted_ns = unix_ns(day);
    if (wanted_ns + second_ns <= begin_unix_ns) {
      day.tm_mday++;
      const std::uint64_t next_day_ns = unix_ns(day);
      if (next_day_ns <= latest_unix_ns) wanted_ns = next_day_ns;
    }
  }
  return wanted_ns > begin_unix_ns ? wanted_ns - begin_unix_ns : 0;
}

void add_moment(Parser& parser, const std::string& name, std::optional<Moment>& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    to = parse_moment(text);
    if (to) return;
    throw UsageError{name +
                     " takes a moment such as 90s or 5m after the beginning, 14:05, 14:05:30 or 2026-11-25T14:05:30, "
                     "and not '" +
                     text + "'"};
  };
  parser.add_value(name, "MOMENT", description, take);
}

void add_moment_span(Parser& parser, const std::string& name, MomentSpan& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    const std::size_t dots = text.find("..");
    const std::string from_text = text.substr(0, dots), to_text = dots == std::string::npos ? "" : text.substr(dots + 2);
    to = {parse_moment(from_text), parse_moment(to_text)};
    const bool is_wrong = (!from_text.empty() && !to.from) || (!to_text.empty() && !to.to);
    if (dots != std::string::npos && !to.is_all() && !is_wrong) return;
    throw UsageError{name + " takes two moments, such as 14:00..14:05 or 60s..120s, and not '" + text + "'"};
  };
  parser.add_value(name, "FROM..TO", description, take);
}

}  // namespace waitprobe::cli
