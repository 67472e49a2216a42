// SPDX-License-Identifier: MIT
//
// Metrics that the tests of src/export write.
#pragma once

#include <string>
#include <vector>

#include "src/model/metrics.h"
#include "tests/unit/build_snapshot.h"

namespace waitprobe {

inline MetricHistogram metric_histogram(const std::vector<std::uint64_t>& durations_ns) {
  MetricHistogram histogram;
  histogram.add(Histogram(totals_of(durations_ns)));
  return histogram;
}

inline Exemplar exemplar(std::uint64_t duration_ns, std::uint64_t after_ns = 0) {
  return {duration_ns, 1'700'000'000'123'000'000 + after_ns, 17, 18, ""};
}

inline void add_exemplar(MetricSample& sample, const Exemplar& e) { sample.exemplars[wp_bucket_of(e.duration_ns)] = e; }

inline MetricFamily waits(std::vector<MetricSample> samples) {
  MetricFamily family;
  family.name = "waitprobe_wait_seconds";
  family.unit = "seconds";
  family.help = "How long waits took.";
  family.type = MetricType::histogram;
  family.samples = std::move(samples);
  return family;
}

inline MetricSample wait_sample(const std::string& key, const std::vector<std::uint64_t>& durations_ns) {
  MetricSample sample;
  sample.labels = {{"key", key}, {"class", "wait"}, {"program", "server"}};
  sample.histogram = metric_histogram(durations_ns);
  return sample;
}

// Each type, with and without labels, units and exemplars.
inline Metrics some_metrics() {
  Metrics metrics;
  metrics.start_unix_ns = 1'600'000'000'500'000'000;
  metrics.time_unix_ns = 1'700'000'000'250'000'001;
  MetricSample acquire = wait_sample("db.pool.acquire", {0, 0, 1'200'000, 1'500'000, 980'000'000, 2'000, 40'000'000'000});
  add_exemplar(acquire, exemplar(1'500'000, 5));
  add_exemplar(acquire, exemplar(980'000'000, 3));
  acquire.exemplars.at(wp_bucket_of(980'000'000)).trace_id = "0af7651916cd43dd8448eb211c80319c";
  add_exemplar(acquire, exemplar(40'000'000'000, 4));
  acquire.created_unix_ns = 1'650'000'000'000'000'000;
  metrics.families = {waits({acquire, wait_sample("disk.read", {35'000, 40'000})}),
                      {"waitprobe_waits_lost",
                       "",
                       "Waits that happened and were not counted, by reason \"a\\b\".",
                       MetricType::counter,
                       {{.labels = {{"reason", "gap"}}, .number = std::uint64_t{3}, .histogram = {}, .exemplars = {}},
                        {.labels = {{"reason", "late"}}, .number = UINT64_MAX, .histogram = {}, .exemplars = {}}}},
                      {"process_cpu_seconds",
                       "seconds",
                       "CPU time.",
                       MetricType::counter,
                       {{.labels = {}, .number = 0.25, .histogram = {}, .exemplars = {}}}},
                      {"waitprobe_coverage_ratio",
                       "ratio",
                       "Share.",
                       MetricType::gauge,
                       {{.labels = {}, .number = 1e-7, .histogram = {}, .exemplars = {}}}},
                      {"process_resident_memory_bytes",
                       "bytes",
                       "Memory.",
                       MetricType::gauge,
                       {{.labels = {}, .number = std::uint64_t{1} << 60, .histogram = {}, .exemplars = {}}}},
                      {"waitprobe_open_waits", "", "Without samples.", MetricType::gauge, {}}};
  return metrics;
}

inline Metrics metrics_of_keys(const std::vector<std::string>& keys) {
  Metrics metrics;
  metrics.time_unix_ns = metrics.start_unix_ns = 1'700'000'000'000'000'000;
  std::vector<MetricSample> samples;
  for (std::size_t i = 0; i < keys.size(); i++) {
    samples.push_back(wait_sample(keys[i], {i}));
    samples.back().labels.push_back({"group", std::to_string(i)});
    Exemplar e = exemplar(i);
    e.trace_id = keys[i];
    add_exemplar(samples.back(), e);
  }
  metrics.families = {waits(std::move(samples))};
  return metrics;
}

// Any bytes, of any length up to more than a label has room for.
std::vector<std::string> random_keys(unsigned seed);

}  // namespace waitprobe
