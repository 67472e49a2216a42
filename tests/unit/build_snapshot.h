// SPDX-License-Identifier: MIT
//
// Snapshots as the kernel would have made them, from plain durations.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

inline wp_hist totals_of(const std::vector<std::uint64_t>& durations_ns) {
  wp_hist totals = {};
  for (const std::uint64_t ns : durations_ns) {
    totals.bucket[wp_bucket_of(ns)]++;
    totals.total_ns += ns;
    totals.inverted_min_ns = std::max<std::uint64_t>(totals.inverted_min_ns, ~ns);
    totals.max_ns = std::max<std::uint64_t>(totals.max_ns, ns);
  }
  return totals;
}

inline waitprobe::Series series(const std::string& key, const std::vector<std::uint64_t>& durations_ns,
                                std::uint32_t pid = 17) {
  waitprobe::Series s;
  s.pid = pid;
  s.process_start_ticks = pid * 1000ULL;
  s.comm = "server";
  s.key = key.substr(0, WP_KEY_MAX);
  s.key_len = key.size();
  s.histogram = waitprobe::Histogram(totals_of(durations_ns));
  return s;
}

inline waitprobe::Snapshot snapshot(std::vector<waitprobe::Series> all, std::uint64_t elapsed_ns = 2'000'000'000) {
  waitprobe::Snapshot s;
  s.time_unix_ns = 1'700'000'000'000'000'000;
  s.elapsed_ns = elapsed_ns;
  s.series = std::move(all);
  return s;
}

// Keys that would harm a terminal, a table or a JSON parser.
inline std::vector<std::string> nasty_keys() {
  return {"",
          "quote\"quote'quote",
          "back\\slash",
          "new\nline\r\ttab",
          "\x1b[31mred\x1b[0m\x1b]0;title\x07",
          "broken\xff\xfe utf-8 \xe2\x82",
          std::string("zero\0byte", 9),
          "overlong \xc0\xaf surrogate \xed\xa0\x80 beyond \xf4\x90\x80\x80",
          "c1 \xc2\x9b"
          "31m bidi \xe2\x80\xae zero-width \xe2\x80\x8b",
          "wide \xe6\xbc\xa2\xe5\xad\x97 \xc3\xbc",
          std::string(10'000, 'x')};
}
