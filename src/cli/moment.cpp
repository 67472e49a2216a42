// SPDX-License-Identifier: MIT
#include "src/cli/moment.h"

#include <algorithm>
#include <ctime>

#include "src/cli/shared_options.h"

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

std::tm local_time(std::uint64_t at_ns) {
  const auto seconds = static_cast<std::time_t>(at_ns / second_ns);
  std::tm time = {};
  localtime_r(&seconds, &time);
  return time;
}

// That time of the day on which `at_ns` is, or of so many days later.
std::uint64_t on_day_of(std::uint64_t at_ns, const Moment& time_of_day, int days_later = 0) {
  std::tm day = local_time(at_ns);
  const auto seconds = static_cast<int>(time_of_day.ns / second_ns);
  day.tm_mday += days_later;
  day.tm_hour = seconds / 3600;
  day.tm_min = seconds / 60 % 60;
  day.tm_sec = seconds % 60;
  return unix_ns(day);
}

bool is_same_day(std::uint64_t a_ns, std::uint64_t b_ns) {
  const std::tm a = local_time(a_ns), b = local_time(b_ns);
  return a.tm_year == b.tm_year && a.tm_yday == b.tm_yday;
}

std::uint64_t first_after(const Moment& time_of_day, std::uint64_t at_ns) {
  const std::uint64_t same_day_ns = on_day_of(at_ns, time_of_day);
  return same_day_ns > at_ns ? same_day_ns : on_day_of(at_ns, time_of_day, 1);
}

std::uint64_t last_before(const Moment& time_of_day, std::uint64_t at_ns) {
  const std::uint64_t same_day_ns = on_day_of(at_ns, time_of_day);
  return same_day_ns < at_ns ? same_day_ns : on_day_of(at_ns, time_of_day, -1);
}

// `begin_ns`: from when on it is looked for.
std::uint64_t nearest_to_recorded(const Moment& time_of_day, std::uint64_t begin_ns, const RecordedTimes& recorded) {
  const std::uint64_t first_ns = on_day_of(begin_ns, time_of_day), next_ns = on_day_of(begin_ns, time_of_day, 1);
  if (first_ns >= begin_ns) return first_ns;
  if (next_ns < recorded.end_ns) return next_ns;
  const bool ends_next_day = recorded.end_ns > begin_ns && !is_same_day(begin_ns, recorded.end_ns);
  return ends_next_day && next_ns - recorded.end_ns < begin_ns - first_ns ? next_ns : first_ns;
}

// Two times of day on the day on which `at_ns` is, or so many days later; over midnight if the second is the earlier one.
Window window_on_day_of(std::uint64_t at_ns, const Moment& from, const Moment& to, int days_later) {
  return {on_day_of(at_ns, from, days_later), on_day_of(at_ns, to, days_later + (to.ns < from.ns ? 1 : 0))};
}

// The same day's, where 22:50 to 22:45 is a mistake and not nearly a day over midnight: both were while it was recorded.
std::optional<Window> mistaken_window(const Moment& from, const Moment& to, const RecordedTimes& recorded) {
  constexpr std::uint64_t half_day_ns = 12 * 3600 * second_ns;
  if (to.ns >= from.ns || from.ns - to.ns >= half_day_ns) return std::nullopt;
  for (const int day : {0, 1}) {
    const Window window = window_on_day_of(recorded.begin_ns, from, to, day);
    if (window.from_ns >= recorded.begin_ns && window.to_ns <= recorded.end_ns) return std::nullopt;
  }
  for (const int day : {0, 1}) {
    const Window window{on_day_of(recorded.begin_ns, from, day), on_day_of(recorded.begin_ns, to, day)};
    if (window.to_ns >= recorded.begin_ns && window.from_ns <= recorded.end_ns) return window;
  }
  return std::nullopt;
}

Window first_window_of_day(const Moment& from, const Moment& to, const RecordedTimes& recorded) {
  if (const auto mistaken = mistaken_window(from, to, recorded)) return *mistaken;
  for (const std::uint64_t middle_ns : recorded.middles_ns) {
    for (const int day : {-1, 0}) {
      const Window window = window_on_day_of(middle_ns, from, to, day);
      if (window.holds(middle_ns)) return window;
    }
  }
  return window_on_day_of(recorded.begin_ns, from, to, 0);
}

std::uint64_t fixed_moment(const Moment& moment, std::uint64_t begin_ns) {
  if (moment.kind == Moment::Kind::date_and_time) return moment.ns;
  return moment.ns <= UINT64_MAX - begin_ns ? begin_ns + moment.ns : UINT64_MAX;
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

Window resolve(const MomentSpan& span, const RecordedTimes& recorded) {
  const auto is_of = [](const std::optional<Moment>& moment, Moment::Kind kind) { return moment && moment->kind == kind; };
  const bool from_is_of_day = is_of(span.from, Moment::Kind::time_of_day);
  const bool to_is_of_day = is_of(span.to, Moment::Kind::time_of_day);
  if (from_is_of_day && to_is_of_day) return first_window_of_day(*span.from, *span.to, recorded);
  Window window;
  if (span.from && !from_is_of_day) window.from_ns = fixed_moment(*span.from, recorded.begin_ns);
  if (span.to && !to_is_of_day) window.to_ns = fixed_moment(*span.to, recorded.begin_ns);
  if (from_is_of_day) {
    // One that begins at 14:05:20.7 is said to begin at 14:05:20.
    const std::uint64_t begin_ns = recorded.begin_ns / second_ns * second_ns;
    window.from_ns = is_of(span.to, Moment::Kind::date_and_time) ? last_before(*span.from, window.to_ns)
                                                                 : nearest_to_recorded(*span.from, begin_ns, recorded);
  }
  if (to_is_of_day) {
    const std::uint64_t begin_ns = std::max(window.from_ns, recorded.begin_ns);
    window.to_ns = is_of(span.from, Moment::Kind::date_and_time) ? first_after(*span.to, window.from_ns)
                                                                 : nearest_to_recorded(*span.to, begin_ns, recorded);
  }
  return window;
}

void add_moment(Parser& parser, const std::string& name, std::optional<Moment>& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    to = parse_moment(text);
    if (to) return;
    throw UsageError{name + " takes a time such as 90s or 5m (since the start), 14:05, 14:05:30 or 2026-11-25T14:05:30, not '" +
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
    throw UsageError{name + " takes two times such as 14:00..14:05 or 60s..120s, not '" + text + "'"};
  };
  parser.add_value(name, "FROM..TO", description, take);
}

}  // namespace waitprobe::cli
