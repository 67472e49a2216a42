// SPDX-License-Identifier: MIT
//
// Numbers for people, in few columns and without regard to the locale.
#pragma once

#include <cstdint>
#include <string>

namespace waitprobe {

// Three digits that matter and a unit, at most 6 columns: "999ns", "1.23us", "45.6ms", "2m03s", "3h02m", "12d03h", "584y".
std::string format_duration(std::uint64_t ns);

// Whole up to 9,999,999, at most 7 columns: "1234567", "12.3M".
std::string format_count(std::uint64_t count);

// Events a second, at most 6 columns: "0.25", "12.3", "1234", "45.6k".
std::string format_rate(double per_second);
std::string format_rate(std::uint64_t count, std::uint64_t elapsed_ns);

// "12:34:56" in the time zone of whoever reads it.
std::string format_time_of_day(std::uint64_t unix_ns);

// "12:34:56.789" there.
std::string format_time_of_day_ms(std::uint64_t unix_ns);

// "2026-11-25", and "UTC+01:00", there.
std::string format_date(std::uint64_t unix_ns);
std::string format_time_zone(std::uint64_t unix_ns);

// "14:05:00 to 14:05:05"; with milliseconds where it is shorter than a second.
std::string format_interval(std::uint64_t from_unix_ns, std::uint64_t to_unix_ns);

// "Times: 14:05:00 to 14:05:05 (5.00s), UTC+01:00"
std::string format_span(std::uint64_t from_unix_ns, std::uint64_t to_unix_ns);

// "2026-11-25 12:34:56" there.
std::string format_date_and_time(std::uint64_t unix_ns);

}  // namespace waitprobe
