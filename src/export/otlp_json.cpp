// SPDX-License-Identifier: MIT
#include "src/export/otlp_json.h"

#include <cstdint>
#include <variant>
#include <vector>

#include "bpf/bucket.h"
#include "src/export/numbers.h"
#include "src/model/label_value.h"

namespace waitprobe {
namespace {

constexpr std::string_view cumulative = "\"aggregationTemporality\":2";

// As OpenTelemetry writes units. What is only counted has none: a gauge whose unit is "1" becomes a ratio in Prometheus.
std::string_view otlp_unit(std::string_view unit) {
  if (unit == "seconds") return "s";
  if (unit == "bytes") return "By";
  if (unit == "ratio") return "1";
  return "";
}

// Receivers refuse all of a request for one that is none.
bool is_trace_id(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// Written without a tree of values: there may be ten thousand histograms of a hundred buckets.
class OtlpWriter {
 public:
  OtlpWriter(const Metrics& metrics, const ClassicBounds& bounds) : metrics_(metrics), bounds_(bounds) {}

  std::string json(const OtlpResource& resource) {
    out_ += R"({"resourceMetrics":[{"resource":{"attributes":[)";
    attribute("service.name", "waitprobe");
    if (!resource.version.empty()) attribute("service.version", resource.version);
    if (!resource.host_name.empty()) attribute("host.name", resource.host_name);
    out_ += R"(]},"scopeMetrics":[{"scope":{"name":"waitprobe","version":)";
    string(label_value(resource.version));
    out_ += R"(},"metrics":[)";
    for (const MetricFamily& family : metrics_.families) {
      if (!family.samples.empty()) write(family);
    }
    out_ += "]}]}]}";
    return std::move(out_);
  }

 private:
  // Before a value: a comma, unless it is the first.
  void separate() {
    const char last = out_.back();
    if (last != '[' && last != '{') out_ += ',';
  }

  // REQUIRES: valid UTF-8.
  void string(std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    out_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out_ += "\\u00";
        out_ += hex[c >> 4];
        out_ += hex[c & 15];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  void member(std::string_view name) {
    separate();
    out_.append("\"").append(name).append("\":");
  }

  // JSON has no numbers of 64 bits: they are strings.
  void whole(std::uint64_t number) {
    out_ += '"';
    append_number(out_, number);
    out_ += '"';
  }

  void attribute(std::string_view name, std::string_view value) {
    separate();
    out_ += "{\"key\":";
    string(name);
    out_ += ",\"value\":{\"stringValue\":";
    string(label_value(value));
    out_ += "}}";
  }

  void integer_attribute(std::string_view name, std::uint64_t value) {
    separate();
    out_ += "{\"key\":";
    string(name);
    out_ += ",\"value\":{\"intValue\":";
    whole(value);
    out_ += "}}";
  }

  void times(std::uint64_t start_unix_ns) {
    member("startTimeUnixNano");
    whole(start_unix_ns != 0 ? start_unix_ns : metrics_.start_unix_ns);
    time();
  }

  void time() {
    member("timeUnixNano");
    whole(metrics_.time_unix_ns);
  }

  void attributes(const std::vector<MetricLabel>& labels) {
    member("attributes");
    out_ += '[';
    for (const MetricLabel& label : labels) attribute(label.name, label.value);
    out_ += ']';
  }

  void write(const MetricFamily& family) {
    separate();
    out_ += '{';
    member("name");
    string(family.name);
    member("description");
    string(family.help);
    member("unit");
    string(otlp_unit(family.unit));
    switch (family.type) {
      case MetricType::gauge:
        out_ += R"(,"gauge":{)";
        break;
      case MetricType::counter:
        out_.append(R"(,"sum":{)").append(cumulative).append(R"(,"isMonotonic":true)");
        break;
      case MetricType::histogram:
        out_.append(R"(,"exponentialHistogram":{)").append(cumulative);
        break;
    }
    member("dataPoints");
    out_ += '[';
    for (const MetricSample& sample : family.samples) {
      separate();
      out_ += '{';
      attributes(sample.labels);
      if (family.type == MetricType::gauge) {
        time();
      } else {
        times(sample.created_unix_ns);
      }
      if (family.type == MetricType::histogram) {
        write_histogram(sample);
      } else {
        write_number(sample.number);
      }
      out_ += '}';
    }
    out_ += "]}}";
  }

  void write_number(const MetricNumber& number) {
    const bool is_whole = std::holds_alternative<std::uint64_t>(number);
    // The type of asInt is signed.
    if (is_whole && std::get<std::uint64_t>(number) <= INT64_MAX) {
      member("asInt");
      whole(std::get<std::uint64_t>(number));
    } else {
      member("asDouble");
      append_number(out_, to_double(number));
    }
  }

  void write_histogram(const MetricSample& sample) {
    const MetricHistogram& histogram = sample.histogram;
    member("count");
    whole(histogram.count());
    member("sum");
    append_seconds(out_, histogram.sum_s, histogram.sum_ns);
    member("scale");
    out_ += '3';
    auto bucket = histogram.buckets.begin();
    member("zeroCount");
    whole(bucket != histogram.buckets.end() && bucket->first == 0 ? (bucket++)->second : 0);
    if (bucket != histogram.buckets.end()) {
      member("positive");
      out_ += '{';
      member("offset");
      std::uint32_t next = bucket->first;
      const int offset = static_cast<int>(next) - WP_BUCKET_OF_1S - 1;
      if (offset < 0) out_ += '-';
      append_number(out_, static_cast<std::uint64_t>(offset < 0 ? -offset : offset));
      member("bucketCounts");
      out_ += '[';
      for (; bucket != histogram.buckets.end(); ++bucket, next++) {
        for (; next < bucket->first; next++) {
          separate();
          whole(0);
        }
        separate();
        whole(bucket->second);
      }
      out_ += "]}";
    }
    if (!sample.exemplars.empty()) write_exemplars(sample);
  }

  void write_exemplars(const MetricSample& sample) {
    member("exemplars");
    out_ += '[';
    for (const auto& [bound, exemplar] : classic_exemplars(sample, bounds_)) {
      separate();
      out_ += '{';
      member("filteredAttributes");
      out_ += '[';
      integer_attribute("pid", exemplar->pid);
      integer_attribute("tid", exemplar->tid);
      out_ += ']';
      member("timeUnixNano");
      whole(exemplar->time_unix_ns);
      member("asDouble");
      append_seconds(out_, exemplar->duration_ns);
      if (is_trace_id(exemplar->trace_id)) {
        member("traceId");
        string(exemplar->trace_id);
      }
      out_ += '}';
    }
    out_ += ']';
  }

  const Metrics& metrics_;
  const ClassicBounds& bounds_;
  std::string out_;
};

}  // namespace

std::string otlp_json(const Metrics& metrics, const OtlpResource& resource, const ClassicBounds& bounds) {
  return OtlpWriter(metrics, bounds).json(resource);
}

}  // namespace waitprobe
