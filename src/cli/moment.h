// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/parser.h"

namespace waitprobe::cli {

// A moment of a recording, as people name it: so much after its beginning ("90s", "5m"), or by the clock in the time zone of
// who asks ("14:05", "14:05:30", "2026-11-25T14:05:30").
struct Moment {
  enum class Kind { after_begin, time_of_day, date_and_time };
  Kind kind = Kind::after_begin;
  std::uint64_t ns = 0;  // after the beginning, after midnight, or Unix time
};

// Nothing if it is none.
std::optional<Moment> parse_moment(const std::string& text);

// A part of a recording.
struct MomentSpan {
  std::optional<Moment> from;
  std::optional<Moment> to;

  bool is_all() const { return !from && !to; }
};

// When something was recorded. Units: nanoseconds of Unix time.
struct RecordedTimes {
  std::uint64_t begin_ns = 0;
  std::uint64_t end_ns = 0;
  std::vector<std::uint64_t> middles_ns;  // of the intervals, in order
};

// Units: nanoseconds of Unix time.
struct Window {
  std::uint64_t from_ns = 0;
  std::uint64_t to_ns = UINT64_MAX;

  // Whether it holds the interval that has this middle.
  bool holds(std::uint64_t middle_ns) const { return middle_ns > from_ns && middle_ns <= to_ns; }
};

// Both ends belong together: two times of day are of one day, or of two that follow each other where the first is the later
// one (23:50 to 00:10); of all such windows it is the first that holds an interval. A time of day beside a date is the one
// next to it. One that stands alone is of a day on which something was recorded: the first that lies within the recording, or
// else the one nearest to it, so that what began at 14:05:20 is shown as a whole from 14:05 on. The window may hold nothing.
Window resolve(const MomentSpan& span, const RecordedTimes& recorded);

void add_moment(Parser& parser, const std::string& name, std::optional<Moment>& to, const std::string& description);

// An option that takes both as FROM..TO, of which one may be left out.
void add_moment_span(Parser& parser, const std::string& name, MomentSpan& to, const std::string& description);

}  // namespace waitprobe::cli
