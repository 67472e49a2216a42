// SPDX-License-Identifier: MIT
//
// Metrics at one moment, as Prometheus and OpenTelemetry understand them: plain data, which the writers of src/export turn into
// their formats. Nothing here is shared between threads.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/model/histogram.h"

namespace waitprobe {

struct MetricLabel {
  std::string name;   // [a-z_]+, none twice in a sample
  std::string value;  // any bytes: writers pass them through label_value()

  bool operator==(const MetricLabel&) const = default;
};

// One observation of those in a bucket.
struct Exemplar {
  std::uint64_t duration_ns = 0;
  std::uint64_t time_unix_ns = 0;  // when it was observed
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::string trace_id;  // 32 hexadecimal digits; empty: not known

  // pid, tid, and trace_id if it is known.
  std::vector<MetricLabel> labels() const;
};

// A histogram that may count for months. Its sum is kept as seconds and nanoseconds: in 64 bits of nanoseconds, ten thousand
// threads that wait have no room for more than three weeks.
struct MetricHistogram {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> buckets;  // index (bpf/bucket.h) and count; ascending, none empty
  std::uint64_t sum_s = 0;
  std::uint32_t sum_ns = 0;  // below 1e9; besides sum_s

  std::uint64_t count() const;
  bool has(std::uint32_t bucket) const;
  void add(const Histogram& more);
};

using MetricNumber = std::variant<std::uint64_t, double>;  // doubles: finite

// The value of one set of labels: a number, or in families of histograms a histogram.
struct MetricSample {
  std::vector<MetricLabel> labels;
  MetricNumber number = std::uint64_t{0};
  MetricHistogram histogram;
  std::map<std::uint32_t, Exemplar> exemplars;  // by bucket (bpf/bucket.h), the slowest of each
  std::uint64_t created_unix_ns = 0;            // since when a counter or histogram counts; 0: Metrics::start_unix_ns
};

enum class MetricType { counter, gauge, histogram };

struct MetricFamily {
  std::string name;  // as Prometheus wants it, without the suffix _total of counters: "waitprobe_wait_seconds"
  std::string unit;  // the last word of the name if that is a unit: "seconds", "bytes", "ratio"; else empty
  std::string help;  // one sentence
  MetricType type = MetricType::gauge;
  std::vector<MetricSample> samples;  // no two with the same labels
};

struct Metrics {
  std::uint64_t time_unix_ns = 0;   // of all values
  std::uint64_t start_unix_ns = 0;  // since when counters count
  std::vector<MetricFamily> families;
};

}  // namespace waitprobe
