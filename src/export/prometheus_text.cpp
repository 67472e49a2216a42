// SPDX-License-Identifier: MIT
#include "src/export/prometheus_text.h"

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/export/numbers.h"
#include "src/model/label_value.h"

namespace waitprobe {
namespace {

enum class Dialect { prometheus, openmetrics };

const char* name_of(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::histogram:
      return "histogram";
    case MetricType::gauge:
      break;
  }
  return "gauge";
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || c == '"') out += '\\';
      out += c;
    }
  }
}

void append_label(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += ',';
  out.append(name).append("=\"");
  append_escaped(out, value);
  out += '"';
}

std::string text_of(const std::vector<MetricLabel>& labels) {
  std::string text;
  for (const MetricLabel& label : labels) append_label(text, label.name, label_value(label.value));
  return text;
}

class TextWriter {
 public:
  TextWriter(const Metrics& metrics, const ClassicBounds& bounds, Dialect dialect)
      : metrics_(metrics), bounds_(bounds), is_openmetrics_(dialect == Dialect::openmetrics) {
    for (const int bound : bounds) le_.push_back("le=\"" + classic_bound_text(bound) + '"');
    le_.push_back("le=\"+Inf\"");
  }

  std::string text() {
    for (const MetricFamily& family : metrics_.families) {
      if (!family.samples.empty()) write(family);
    }
    if (is_openmetrics_) out_ += "# EOF\n";
    return std::move(out_);
  }

 private:
  void write(const MetricFamily& family) {
    // In OpenMetrics, a family of counters has a name without the suffix of its samples.
    const bool has_total = family.type == MetricType::counter && !is_openmetrics_;
    const std::string name = family.name + (has_total ? "_total" : "");
    out_ += "# HELP " + name + " ";
    append_help(family.help);
    out_ += "\n# TYPE " + name + " " + name_of(family.type) + "\n";
    if (is_openmetrics_ && !family.unit.empty()) out_ += "# UNIT " + name + " " + family.unit + "\n";
    for (const MetricSample& sample : family.samples) {
      const std::string labels = text_of(sample.labels);
      if (family.type == MetricType::histogram) {
        write_histogram(family.name, labels, sample);
      } else {
        begin(family.name, family.type == MetricType::counter ? "_total" : "", labels);
        append_number(out_, sample.number);
        out_ += '\n';
      }
      if (is_openmetrics_ && family.type != MetricType::gauge) {
        begin(family.name, "_created", labels);
        append_seconds(out_, sample.created_unix_ns != 0 ? sample.created_unix_ns : metrics_.start_unix_ns);
        out_ += '\n';
      }
    }
  }

  // In Prometheus' format, quotation marks stay as they are here.
  void append_help(std::string_view help) {
    if (is_openmetrics_) return append_escaped(out_, help);
    for (const char c : help) {
      if (c == '\n' || c == '\\') out_ += '\\';
      out_ += c == '\n' ? 'n' : c;
    }
  }

  void begin(std::string_view name, std::string_view suffix, std::string_view labels, std::string_view le = {}) {
    out_.append(name).append(suffix);
    if (!labels.empty() || !le.empty()) {
      out_.append("{").append(labels).append(labels.empty() || le.empty() ? "" : ",").append(le).append("}");
    }
    out_ += ' ';
  }

  void write_histogram(const std::string& name, const std::string& labels, const MetricSample& sample) {
    const std::uint64_t count = sample.histogram.count();
    std::vector<std::uint64_t> counts = cumulative_counts(sample.histogram, bounds_);
    counts.push_back(count);
    const auto exemplars = is_openmetrics_ ? classic_exemplars(sample, bounds_) : std::map<std::size_t, const Exemplar*>();
    for (std::size_t i = 0; i < counts.size(); i++) {
      begin(name, "_bucket", labels, le_[i]);
      append_number(out_, counts[i]);
      if (const auto at = exemplars.find(i); at != exemplars.end()) write_exemplar(*at->second);
      out_ += '\n';
    }
    begin(name, "_sum", labels);
    append_seconds(out_, sample.histogram.sum_s, sample.histogram.sum_ns);
    out_ += '\n';
    begin(name, "_count", labels);
    append_number(out_, count);
    out_ += '\n';
  }

  void write_exemplar(const Exemplar& exemplar) {
    out_ += " # {" + text_of(exemplar.labels()) + "} ";
    append_seconds(out_, exemplar.duration_ns);
    out_ += ' ';
    append_seconds(out_, exemplar.time_unix_ns);
  }

  const Metrics& metrics_;
  const ClassicBounds& bounds_;
  const bool is_openmetrics_;
  std::vector<std::string> le_;
  std::string out_;
};

}  // namespace

std::string prometheus_text(const Metrics& metrics, const ClassicBounds& bounds) {
  return TextWriter(metrics, bounds, Dialect::prometheus).text();
}

std::string openmetrics(const Metrics& metrics, const ClassicBounds& bounds) {
  return TextWriter(metrics, bounds, Dialect::openmetrics).text();
}

}  // namespace waitprobe
