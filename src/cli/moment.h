// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// As nanoseconds after the beginning of a recording. A time of day is the first one after it, or, where that is later than
// `latest`, the one before; what lies before the beginning is 0.
std::uint64_t after_begin(const Moment& moment, std::uint64_t begin_unix_ns, std::uint64_t latest_unix_ns = UINT64_MAX);

// A part of a recording.
struct MomentSpan {
  std::optional<Moment> from;
  std::optional<Moment> to;

  bool is_all() const { return !from && !to; }
};

void add_moment(Parser& parser, const std::string& name, std::optional<Moment>& to, const std::string& description);

// An option that takes both as FROM..TO, of which one may be left out.
void add_moment_span(Parser& parser, const std::string& name, MomentSpan& to, const std::string& description);

}  // namespace waitprobe::cli
