// SPDX-License-Identifier: MIT
//
// Numbers as the formats of metrics have them. Pure functions; safe on any thread.
#pragma once

#include <cstdint>
#include <string>

#include "src/model/metrics.h"

namespace waitprobe {

void append_number(std::string& out, std::uint64_t number);
// The shortest text that a parser reads as the same number. REQUIRES: finite.
void append_number(std::string& out, double number);
void append_number(std::string& out, const MetricNumber& number);

// Seconds and nanoseconds, in seconds, exactly: "12.000000345", "12". REQUIRES: ns < 1e9.
void append_seconds(std::string& out, std::uint64_t s, std::uint32_t ns);
inline void append_seconds(std::string& out, std::uint64_t ns) {
  append_seconds(out, ns / 1'000'000'000, static_cast<std::uint32_t>(ns % 1'000'000'000));
}

double to_double(const MetricNumber& number);
// The number next to it. REQUIRES: ns < 1e9.
double to_seconds(std::uint64_t s, std::uint32_t ns);
inline double to_seconds(std::uint64_t ns) {
  return to_seconds(ns / 1'000'000'000, static_cast<std::uint32_t>(ns % 1'000'000'000));
}

}  // namespace waitprobe
