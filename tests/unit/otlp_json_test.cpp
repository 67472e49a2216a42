// SPDX-License-Identifier: MIT
#include "src/export/otlp_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "src/model/label_value.h"
#include "tests/unit/bucket_oracle.h"
#include "tests/unit/golden.h"
#include "tests/unit/metric_samples.h"

namespace waitprobe {
namespace {

using nlohmann::json;

json written(const Metrics& metrics) { return json::parse(otlp_json(metrics, {"web\"1\xff", "0.1.0"})); }

json metrics_in(const json& request) { return request.at("resourceMetrics").at(0).at("scopeMetrics").at(0).at("metrics"); }

json point_of(const std::vector<std::uint64_t>& durations_ns) {
  Metrics metrics;
  metrics.families = {waits({wait_sample("k", durations_ns)})};
  return metrics_in(written(metrics)).at(0).at("exponentialHistogram").at("dataPoints").at(0);
}

// The published schema (opentelemetry/proto/metrics/v1): which members a message may have, as JSON spells them, and of which kind.
// 64-bit integers are strings of digits, bytes of identifiers are hexadecimal, enumerations are numbers.
const std::map<std::string, std::map<std::string, std::string>> schema = {
    {"Request", {{"resourceMetrics", "[ResourceMetrics"}}},
    {"ResourceMetrics", {{"resource", "Resource"}, {"scopeMetrics", "[ScopeMetrics"}, {"schemaUrl", "string"}}},
    {"Resource", {{"attributes", "[KeyValue"}}},
    {"ScopeMetrics", {{"scope", "Scope"}, {"metrics", "[Metric"}, {"schemaUrl", "string"}}},
    {"Scope", {{"name", "string"}, {"version", "string"}, {"attributes", "[KeyValue"}}},
    {"KeyValue", {{"key", "string"}, {"value", "AnyValue"}}},
    {"AnyValue", {{"stringValue", "string"}, {"intValue", "u64"}}},
    {"Metric",
     {{"name", "string"},
      {"description", "string"},
      {"unit", "string"},
      {"gauge", "Gauge"},
      {"sum", "Sum"},
      {"exponentialHistogram", "ExponentialHistogram"}}},
    {"Gauge", {{"dataPoints", "[NumberDataPoint"}}},
    {"Sum", {{"dataPoints", "[NumberDataPoint"}, {"aggregationTemporality", "enum"}, {"isMonotonic", "bool"}}},
    {"NumberDataPoint",
     {{"attributes", "[KeyValue"},
      {"startTimeUnixNano", "u64"},
      {"timeUnixNano", "u64"},
      {"asInt", "u64"},
      {"asDouble", "number"}}},
    {"ExponentialHistogram", {{"dataPoints", "[ExponentialHistogramDataPoint"}, {"aggregationTemporality", "enum"}}},
    {"ExponentialHistogramDataPoint",
     {{"attributes", "[KeyValue"},
      {"startTimeUnixNano", "u64"},
      {"timeUnixNano", "u64"},
      {"count", "u64"},
      {"sum", "number"},
      {"scale", "int"},
      {"zeroCount", "u64"},
      {"positive", "Buckets"},
      {"exemplars", "[Exemplar"},
      {"zeroThreshold", "number"}}},
    {"Buckets", {{"offset", "int"}, {"bucketCounts", "[u64"}}},
    {"Exemplar", {{"filteredAttributes", "[KeyValue"}, {"timeUnixNano", "u64"}, {"asDouble", "number"}, {"traceId", "hex"}}},
};

void expect_kind(const json& value, const std::string& kind, const std::string& path) {
  if (kind.starts_with('[')) {
    ASSERT_TRUE(value.is_array()) << path;
    for (const json& one : value) expect_kind(one, kind.substr(1), path + "[]");
  } else if (const auto message = schema.find(kind); message != schema.end()) {
    ASSERT_TRUE(value.is_object()) << path;
    for (const auto& [name, member] : value.items()) {
      const auto field = message->second.find(name);
      ASSERT_NE(field, message->second.end()) << path << "." << name;
      expect_kind(member, field->second, path + "." + name);
    }
  } else if (kind == "u64" || kind == "hex") {
    ASSERT_TRUE(value.is_string()) << path;
    const char* const digits = kind == "u64" ? "0123456789" : "0123456789abcdef";
    ASSERT_EQ(value.get<std::string>().find_first_not_of(digits), std::string::npos) << path;
    ASSERT_FALSE(value.get<std::string>().empty()) << path;
  } else {
    const bool fits = kind == "string"   ? value.is_string()
                      : kind == "number" ? value.is_number()
                      : kind == "bool"   ? value.is_boolean()
                                         : value.is_number_integer();
    ASSERT_TRUE(fits) << path;
  }
}

TEST(OtlpJson, IsAsThePublishedSchemaWantsIt) {
  const json request = written(some_metrics());
  expect_kind(request, "Request", "");
  expect_golden("metrics.otlp.json", request.dump(1) + "\n");
  std::set<std::string> names;
  for (const json& metric : metrics_in(request)) EXPECT_TRUE(names.insert(metric.at("name")).second);
}

TEST(OtlpJson, SaysWhoSentIt) {
  const json resource = written(some_metrics()).at("resourceMetrics").at(0).at("resource");
  std::map<std::string, std::string> attributes;
  for (const json& a : resource.at("attributes")) attributes[a.at("key")] = a.at("value").at("stringValue");
  EXPECT_EQ(attributes, (std::map<std::string, std::string>{
                            {"service.name", "waitprobe"}, {"service.version", "0.1.0"}, {"host.name", "web\"1\xef\xbf\xbd"}}));
}

TEST(OtlpJson, EachWaitIsInTheBucketThatScale3HasForIt) {
  auto durations = telling_durations();
  durations.resize(1'300);  // the bounds and powers of two come first
  for (const std::uint64_t ns : durations) {
    const json point = point_of({ns});
    ASSERT_EQ(point.at("scale"), 3);
    ASSERT_EQ(point.at("count"), "1");
    ASSERT_EQ(point.at("zeroCount"), ns == 0 ? "1" : "0");
    if (ns == 0) {
      ASSERT_FALSE(point.contains("positive"));
      continue;
    }
    ASSERT_EQ(point.at("positive").at("bucketCounts"), json::array({"1"}));
    const int index = point.at("positive").at("offset");
    // Above the lower bound 2^(index/8), and at most the upper one.
    const auto up_to = [](int i) { return static_cast<std::uint64_t>(1e9L * std::exp2(static_cast<long double>(i) / 8)); };
    ASSERT_GT(ns, up_to(index)) << index;
    if (index < 8 * 13) {
      ASSERT_LE(ns, up_to(index + 1)) << index;
    } else {
      ASSERT_EQ(index, 8 * 13) << "all above 2^13 s";
    }
  }
}

TEST(OtlpJson, CountsOfBucketsAreThoseOfTheHistogram) {
  const auto durations = telling_durations();
  const json point = point_of(durations);
  const MetricHistogram from = metric_histogram(durations);
  std::size_t bucket = static_cast<std::size_t>(point.at("positive").at("offset").get<int>() + 241);
  std::uint64_t sum = std::stoull(point.at("zeroCount").get<std::string>());
  std::vector<std::pair<std::uint32_t, std::uint64_t>> read = {{0, sum}};
  for (const json& count : point.at("positive").at("bucketCounts")) {
    const std::uint64_t waits = std::stoull(count.get<std::string>());
    if (waits != 0) read.emplace_back(bucket, waits);
    sum += waits;
    bucket++;
  }
  EXPECT_EQ(read, from.buckets);
  EXPECT_EQ(std::to_string(sum), point.at("count").get<std::string>());
}

TEST(OtlpJson, AnyBytesAsAttributesComeBackAsLabelValueMakesThem) {
  for (unsigned seed = 0; seed < 10; seed++) {
    std::vector<std::string> keys = random_keys(seed);
    for (const std::string& key : nasty_keys()) keys.push_back(key);
    const json points = metrics_in(written(metrics_of_keys(keys))).at(0).at("exponentialHistogram").at("dataPoints");
    ASSERT_EQ(points.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); i++) {
      ASSERT_EQ(points[i].at("attributes").at(0).at("value").at("stringValue"), label_value(keys[i]));
    }
  }
}

}  // namespace
}  // namespace waitprobe
