// SPDX-License-Identifier: MIT
#include "src/export/prometheus_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "src/model/label_value.h"
#include "tests/unit/command.h"
#include "tests/unit/exposition.h"
#include "tests/unit/golden.h"
#include "tests/unit/metric_samples.h"

namespace waitprobe {

std::vector<std::string> random_keys(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> keys(200);
  for (std::string& key : keys) {
    key.resize(random() % (random() % 20 == 0 ? 10'000 : 30));
    for (char& c : key) c = static_cast<char>(random() % 4 == 0 ? "\"\\\n\r{}=,#\0"[random() % 11] : random());
  }
  return keys;
}

namespace {

// promtool wants a time for each sample: it stands behind the value.
std::string with_times(const std::string& text) {
  std::istringstream lines(text);
  std::string timed;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) {
      const std::size_t exemplar = line.find(" # {");
      line.insert(std::min(exemplar, line.size()), " 1700000000");
    }
    timed += line + "\n";
  }
  return timed;
}

TEST(PrometheusText, IsAsTheFormatWantsIt) {
  const std::string text = prometheus_text(some_metrics());
  expect_golden("metrics.prom", text);
  const Exposition all = parse_exposition(text, false);
  EXPECT_EQ(all.types.at("waitprobe_waits_lost_total"), "counter");
  EXPECT_EQ(all.value("waitprobe_waits_lost_total", {{"reason", "late"}}), "18446744073709551615");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_sum", {{"key", "db.pool.acquire"}}), "40.982702");
  EXPECT_FALSE(all.types.contains("waitprobe_open_waits")) << "without samples";
}

TEST(PrometheusText, OpenMetricsIsAsTheFormatWantsIt) {
  const std::string text = openmetrics(some_metrics());
  expect_golden("metrics.om", text);
  const Exposition all = parse_exposition(text, true);
  EXPECT_EQ(all.units.at("waitprobe_wait_seconds"), "seconds");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_created", {{"key", "db.pool.acquire"}}), "1650000000");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_created", {{"key", "disk.read"}}), "1600000000.5") << "that of all";
  std::vector<std::string> exemplars;
  for (const ExpositionSample& sample : all.samples) {
    if (sample.exemplar_labels)
      exemplars.push_back(sample.labels.at("le") + " " + sample.exemplar_value + " " + sample.exemplar_time);
  }
  EXPECT_EQ(exemplars, (std::vector<std::string>{"0.00390625 0.0015 1700000000.123000005", "1.0 0.98 1700000000.123000003",
                                                 "+Inf 40 1700000000.123000004"}));
}

TEST(PrometheusText, BucketsCountWhatIsAtMostTheirBound) {
  // 2^-10 s is 976562.5 ns, 2^0 s a whole number.
  const Metrics metrics = [] {
    Metrics m;
    m.families = {waits({wait_sample("k", {976'562, 976'563, 1'000'000'000, 1'000'000'001})})};
    return m;
  }();
  const Exposition all = parse_exposition(prometheus_text(metrics, {-10, 0}), false);
  EXPECT_EQ(all.value("waitprobe_wait_seconds_bucket", {{"le", "0.0009765625"}}), "1");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_bucket", {{"le", "1.0"}}), "3");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_bucket", {{"le", "+Inf"}}), "4");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_count"), "4");
  EXPECT_EQ(all.value("waitprobe_wait_seconds_sum"), "2.001953126");
}

TEST(PrometheusText, SumsKeepEachNanosecond) {
  Metrics metrics;
  metrics.families = {waits({wait_sample("k", {1})})};
  MetricHistogram& histogram = metrics.families[0].samples[0].histogram;
  histogram.sum_s = 123'456'789'012'345;
  histogram.sum_ns = 1;
  EXPECT_EQ(parse_exposition(prometheus_text(metrics), false).value("waitprobe_wait_seconds_sum"), "123456789012345.000000001");
}

TEST(PrometheusText, AnyBytesAsLabelsComeBackAsLabelValueMakesThem) {
  for (unsigned seed = 0; seed < 10; seed++) {
    std::vector<std::string> keys = random_keys(seed);
    for (const std::string& key : nasty_keys()) keys.push_back(key);
    keys.push_back("\"><script>alert(1)</script>");
    const Metrics metrics = metrics_of_keys(keys);
    for (const bool is_openmetrics : {false, true}) {
      const Exposition all =
          parse_exposition(is_openmetrics ? openmetrics(metrics, {0}) : prometheus_text(metrics, {0}), is_openmetrics);
      std::size_t i = 0;
      for (const ExpositionSample& sample : all.samples) {
        if (sample.name != "waitprobe_wait_seconds_count") continue;
        ASSERT_EQ(sample.labels.at("key"), label_value(keys[i]));
        i++;
      }
      ASSERT_EQ(i, keys.size());
    }
  }
}

TEST(PrometheusText, PromtoolFindsNoFault) {
  if (!has_command("promtool")) GTEST_SKIP() << "no promtool";
  const ScratchFolder folder;
  for (const Metrics& metrics : {some_metrics(), metrics_of_keys(nasty_keys()), metrics_of_keys(random_keys(99))}) {
    EXPECT_EQ(output_of("promtool check metrics 2>&1", prometheus_text(metrics)), "");
    const std::string file = folder.file("openmetrics", with_times(openmetrics(metrics)));
    const std::string output =
        output_of("promtool tsdb create-blocks-from openmetrics " + file + " " + folder.path() + "/data 2>&1");
    EXPECT_EQ(output.find("status "), std::string::npos) << output;
  }
}

}  // namespace
}  // namespace waitprobe
