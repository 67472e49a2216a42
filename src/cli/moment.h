// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/parser.h"

namespace waitprobe::cli {

// A point in time of a recording as the user writes it: an offset from its start ("90s", "5m"), or a time in the user's time
// zone ("14:05", "14:05:30", "2026-11-25T14:05:30").
struct Moment {
  enum class Kind { after_begin, time_of_day, date_and_time };
  Kind kind = Kind::after_begin;
  std::uint64_t ns = 0;  // after the beginning, after midnight, or Unix time
};

// Returns nothing if the text is not a time.
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

// Resolves a span to a window. Where both ends are times of day, they are of one day, or of two successive days if the first is
// later than the second (23:50 to 00:10); the window is the first one that holds an interval. A time of day next to a date is
// the nearest one to it. A time of day alone is the first one within the recording, or else the nearest to it, so that --from
// 14:05 shows all of a recording that began at 14:05:20. The window may hold nothing.
Window resolve(const MomentSpan& span, const RecordedTimes& recorded);

void add_moment(Parser& parser, const std::string& name, std::optional<Moment>& to, const std::string& description);

// An option that takes both as FROM..TO, of which one may be left out.
void add_moment_span(Parser& parser, const std::string& name, MomentSpan& to, const std::string& description);

}  // namespace waitprobe::cli
