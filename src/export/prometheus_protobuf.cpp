// SPDX-License-Identifier: MIT
#include "src/export/prometheus_protobuf.h"

#include <prometheus.pb.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bpf/bucket.h"
#include "src/export/numbers.h"
#include "src/model/label_value.h"

namespace waitprobe {
namespace {

namespace proto = io::prometheus::client;

constexpr int schema = 3;              // 2^3 buckets for each power of two, as bpf/bucket.h
constexpr int most_empty_buckets = 2;  // in a row, within a span

void set_time(proto::Timestamp& to, std::uint64_t unix_ns) {
  to.set_seconds(static_cast<std::int64_t>(unix_ns / 1'000'000'000));
  to.set_nanos(static_cast<std::int32_t>(unix_ns % 1'000'000'000));
}

template <class Message>
void add_labels(Message& to, const std::vector<MetricLabel>& labels) {
  for (const MetricLabel& label : labels) {
    proto::LabelPair& pair = *to.add_label();
    pair.set_name(label.name);
    pair.set_value(label_value(label.value));
  }
}

void set_exemplar(proto::Exemplar& to, const Exemplar& from) {
  add_labels(to, from.labels());
  to.set_value(to_seconds(from.duration_ns));
  set_time(*to.mutable_timestamp(), from.time_unix_ns);
}

void add_native_buckets(proto::Histogram& to, const MetricHistogram& from) {
  to.set_schema(schema);
  std::uint64_t zeros = 0, before = 0;
  std::int32_t next = 0;
  proto::BucketSpan* span = nullptr;
  for (const auto& [bucket, count] : from.buckets) {
    if (bucket == 0) {
      zeros = count;
      continue;
    }
    const std::int32_t index = static_cast<std::int32_t>(bucket) - WP_BUCKET_OF_1S;
    // A few empty buckets take less room than another span does.
    if (span != nullptr && index - next <= most_empty_buckets) {
      for (; next < index; next++, before = 0) {
        to.add_positive_delta(-static_cast<std::int64_t>(before));
        span->set_length(span->length() + 1);
      }
    } else {
      const std::int32_t offset = span == nullptr ? index : index - next;
      span = to.add_positive_span();
      span->set_offset(offset);
      span->set_length(0);
    }
    span->set_length(span->length() + 1);
    to.add_positive_delta(static_cast<std::int64_t>(count - before));
    before = count;
    next = index + 1;
  }
  // The threshold is 0, as it is if it is not there.
  if (zeros != 0) to.set_zero_count(zeros);
  // Otherwise a histogram without buckets would be taken for a classic one.
  if (span == nullptr) {
    span = to.add_positive_span();
    span->set_offset(0);
    span->set_length(0);
  }
}

void add_classic_buckets(proto::Histogram& to, const MetricSample& from, const ClassicBounds& bounds) {
  std::vector<std::uint64_t> counts = cumulative_counts(from.histogram, bounds);
  counts.push_back(to.sample_count());
  const auto exemplars = classic_exemplars(from, bounds);
  for (std::size_t i = 0; i < counts.size(); i++) {
    proto::Bucket& bucket = *to.add_bucket();
    bucket.set_cumulative_count(counts[i]);
    bucket.set_upper_bound(i < bounds.size() ? std::ldexp(1.0, bounds[i]) : HUGE_VAL);
    if (const auto at = exemplars.find(i); at != exemplars.end()) set_exemplar(*bucket.mutable_exemplar(), *at->second);
  }
}

void add_exemplars(proto::Histogram& to, const MetricSample& from, const ClassicBounds& bounds) {
  std::vector<const Exemplar*> in_time;
  for (const auto& [bound, exemplar] : classic_exemplars(from, bounds)) in_time.push_back(exemplar);
  // Prometheus refuses those of a series that are older than the last one.
  std::stable_sort(in_time.begin(), in_time.end(),
                   [](const Exemplar* a, const Exemplar* b) { return a->time_unix_ns < b->time_unix_ns; });
  for (const Exemplar* exemplar : in_time) set_exemplar(*to.add_exemplars(), *exemplar);
}

void add_sample(proto::MetricFamily& to, const MetricSample& from, MetricType type, std::uint64_t created_unix_ns,
                const ProtobufOptions& options) {
  proto::Metric& metric = *to.add_metric();
  add_labels(metric, from.labels);
  switch (type) {
    case MetricType::gauge:
      metric.mutable_gauge()->set_value(to_double(from.number));
      break;
    case MetricType::counter: {
      metric.mutable_counter()->set_value(to_double(from.number));
      set_time(*metric.mutable_counter()->mutable_created_timestamp(), created_unix_ns);
      break;
    }
    case MetricType::histogram: {
      proto::Histogram& histogram = *metric.mutable_histogram();
      histogram.set_sample_count(from.histogram.count());
      histogram.set_sample_sum(to_seconds(from.histogram.sum_s, from.histogram.sum_ns));
      add_native_buckets(histogram, from.histogram);
      if (options.has_classic_buckets) add_classic_buckets(histogram, from, options.bounds);
      add_exemplars(histogram, from, options.bounds);
      set_time(*histogram.mutable_created_timestamp(), created_unix_ns);
      break;
    }
  }
}

proto::MetricType to_proto(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return proto::COUNTER;
    case MetricType::histogram:
      return proto::HISTOGRAM;
    case MetricType::gauge:
      break;
  }
  return proto::GAUGE;
}

void append_delimited(std::string& out, const proto::MetricFamily& family) {
  std::size_t length = family.ByteSizeLong();
  for (; length >= 0x80; length >>= 7) out += static_cast<char>((length & 0x7f) | 0x80);
  out += static_cast<char>(length);
  family.AppendToString(&out);
}

}  // namespace

std::string prometheus_protobuf(const Metrics& metrics, const ProtobufOptions& options) {
  std::string out;
  for (const MetricFamily& from : metrics.families) {
    if (from.samples.empty()) continue;
    proto::MetricFamily family;
    family.set_name(from.name + (from.type == MetricType::counter ? "_total" : ""));
    family.set_help(from.help);
    if (!from.unit.empty()) family.set_unit(from.unit);
    family.set_type(to_proto(from.type));
    for (const MetricSample& sample : from.samples) {
      add_sample(family, sample, from.type, sample.created_unix_ns != 0 ? sample.created_unix_ns : metrics.start_unix_ns,
                 options);
    }
    append_delimited(out, family);
  }
  return out;
}

}  // namespace waitprobe
