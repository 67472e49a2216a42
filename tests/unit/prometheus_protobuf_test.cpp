// SPDX-License-Identifier: MIT
#include "src/export/prometheus_protobuf.h"

#include <gtest/gtest.h>
#include <prometheus.pb.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>

#include "src/export/otlp_json.h"
#include "src/export/prometheus_text.h"
#include "src/model/label_value.h"
#include "tests/unit/bucket_oracle.h"
#include "tests/unit/command.h"
#include "tests/unit/golden.h"
#include "tests/unit/metric_samples.h"

namespace waitprobe {
namespace {

namespace proto = io::prometheus::client;

std::vector<proto::MetricFamily> parsed(const std::string& bytes) {
  std::vector<proto::MetricFamily> families;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t length = 0;
    unsigned shift = 0;
    for (; (bytes.at(at) & 0x80) != 0; shift += 7) length |= static_cast<std::size_t>(bytes[at++] & 0x7f) << shift;
    length |= static_cast<std::size_t>(bytes[at++]) << shift;
    EXPECT_TRUE(families.emplace_back().ParseFromString(bytes.substr(at, length)));
    at += length;
  }
  return families;
}

proto::Histogram histogram_of(const std::vector<std::uint64_t>& durations_ns) {
  Metrics metrics;
  metrics.families = {waits({wait_sample("k", durations_ns)})};
  return parsed(prometheus_protobuf(metrics)).at(0).metric(0).histogram();
}

// Index to count, as the format defines it.
std::map<int, std::int64_t> buckets_of(const proto::Histogram& histogram) {
  std::map<int, std::int64_t> all;
  int index = 0, delta = 0;
  std::int64_t count = 0;
  for (const proto::BucketSpan& span : histogram.positive_span()) {
    index += span.offset();
    for (unsigned i = 0; i < span.length(); i++) all[index++] = count += histogram.positive_delta(delta++);
  }
  EXPECT_EQ(delta, histogram.positive_delta_size());
  return all;
}

std::uint64_t whole_ns_up_to(int index) {
  return static_cast<std::uint64_t>(1e9L * std::exp2(static_cast<long double>(index) / 8));
}

TEST(PrometheusProtobuf, EachWaitIsInTheBucketThatSchema3HasForIt) {
  for (const std::uint64_t ns : telling_durations()) {
    const proto::Histogram histogram = histogram_of({ns});
    ASSERT_EQ(histogram.schema(), 3);
    ASSERT_EQ(histogram.sample_count(), 1U);
    const auto buckets = buckets_of(histogram);
    if (ns == 0) {
      ASSERT_EQ(histogram.zero_count(), 1U);
      ASSERT_TRUE(buckets.empty());
      continue;
    }
    ASSERT_EQ(histogram.zero_count(), 0U);
    ASSERT_EQ(buckets.size(), 1U);
    const int index = buckets.begin()->first;
    ASSERT_GT(ns, whole_ns_up_to(index - 1)) << index;
    if (index <= 8 * 13) {
      ASSERT_LE(ns, whole_ns_up_to(index)) << index;
    } else {
      ASSERT_EQ(index, 8 * 13 + 1) << "all above 2^13 s";
    }
  }
}

TEST(PrometheusProtobuf, SpansAndDeltasAreThoseOfTheHistogram) {
  std::vector<std::uint64_t> durations = {0, 0, 0};
  for (const std::uint64_t ns : telling_durations())
    durations.insert(durations.end(), ns % 3 * (wp_bucket_of(ns) % 11 != 0) * (wp_bucket_of(ns) % 13 > 2), ns);
  const proto::Histogram histogram = histogram_of(durations);
  const MetricHistogram from = metric_histogram(durations);
  auto buckets = buckets_of(histogram);
  EXPECT_GT(std::erase_if(buckets, [](const auto& bucket) { return bucket.second == 0; }), 0U) << "some spans have empty ones";
  std::map<int, std::int64_t> expected;
  for (const auto& [bucket, count] : from.buckets) {
    if (bucket != 0) expected[static_cast<int>(bucket) - 240] = static_cast<std::int64_t>(count);
  }
  EXPECT_EQ(buckets, expected);
  EXPECT_EQ(histogram.sample_count(), durations.size());
  EXPECT_EQ(histogram.zero_count(), from.buckets.at(0).second);
  EXPECT_EQ(histogram.zero_threshold(), 0);
}

TEST(PrometheusProtobuf, AnEmptyHistogramIsNativeToo) {
  const proto::Histogram histogram = histogram_of({});
  ASSERT_EQ(histogram.positive_span_size(), 1);
  EXPECT_EQ(histogram.positive_span(0).length(), 0U);
}

// What knows nothing of our generated code.
TEST(PrometheusProtobuf, ProtocDecodesIt) {
  std::string decoded;
  for (const bool has_classic_buckets : {false, true}) {
    for (const proto::MetricFamily& family : parsed(prometheus_protobuf(some_metrics(), {{-8, 0}, has_classic_buckets}))) {
      decoded += output_of(PROTOC " --decode=io.prometheus.client.MetricFamily -I " EXPORT_FOLDER " prometheus.proto 2>&1",
                           family.SerializeAsString()) +
                 "\n";
      if (has_classic_buckets) break;  // the others have none
    }
  }
  expect_golden("metrics.pb", decoded);
}

TEST(PrometheusProtobuf, AnyBytesAsLabelsComeBackAsLabelValueMakesThem) {
  for (unsigned seed = 0; seed < 10; seed++) {
    std::vector<std::string> keys = random_keys(seed);
    for (const std::string& key : nasty_keys()) keys.push_back(key);
    const proto::MetricFamily family = parsed(prometheus_protobuf(metrics_of_keys(keys))).at(0);
    ASSERT_EQ(static_cast<std::size_t>(family.metric_size()), keys.size());
    for (std::size_t i = 0; i < keys.size(); i++) {
      ASSERT_EQ(family.metric(static_cast<int>(i)).label(0).value(), label_value(keys[i]));
    }
  }
}

// A thousand keys of ordinary length, each with waits over a few powers of two and exemplars.
TEST(PrometheusProtobuf, AThousandSeriesAreSmall) {
  std::mt19937_64 random(1);
  std::vector<MetricSample> samples, with_exemplars;
  for (int i = 0; i < 1'000; i++) {
    std::vector<std::uint64_t> durations(2'000);
    std::lognormal_distribution<double> spread(std::log(20'000.0) + i % 12, 1.0);
    for (std::uint64_t& ns : durations) ns = static_cast<std::uint64_t>(spread(random));
    samples.push_back(wait_sample("storage.shard" + std::to_string(i) + ".lock.acquire", durations));
    with_exemplars.push_back(samples.back());
    for (std::size_t j = 0; j < durations.size(); j++) {
      const auto at = with_exemplars.back().exemplars.find(wp_bucket_of(durations[j]));
      if (at == with_exemplars.back().exemplars.end() || at->second.duration_ns < durations[j]) {
        add_exemplar(with_exemplars.back(), exemplar(durations[j], j));
      }
    }
  }
  Metrics metrics, exemplars;
  metrics.families = {waits(samples)};
  exemplars.families = {waits(with_exemplars)};
  const auto measure = [](const char* name, auto write) {
    const auto start = std::chrono::steady_clock::now();
    const std::size_t bytes = write().size();
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::printf("%-32s %9zu bytes %7.1f ms\n", name, bytes, ms);
    return bytes;
  };
  EXPECT_LT(measure("protobuf", [&] { return prometheus_protobuf(metrics); }), 200'000U);
  measure("protobuf with exemplars", [&] { return prometheus_protobuf(exemplars); });
  measure("protobuf with classic buckets", [&] { return prometheus_protobuf(exemplars, {default_classic_bounds(), true}); });
  EXPECT_LT(measure("text", [&] { return prometheus_text(exemplars); }), 3'000'000U);
  EXPECT_LT(measure("OpenMetrics", [&] { return openmetrics(exemplars); }), 3'000'000U);
  measure("OTLP", [&] { return otlp_json(exemplars, {"host", "1"}); });
}

}  // namespace
}  // namespace waitprobe
