// SPDX-License-Identifier: MIT
#include "src/export/agent_metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "src/export/otlp_json.h"
#include "src/export/prometheus_protobuf.h"
#include "src/export/prometheus_text.h"
#include "tests/unit/command.h"
#include "tests/unit/exposition.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

AgentState some_state() {
  AgentState state;
  state.version = "0.1.0";
  state.start_unix_ns = 1'700'000'000'000'000'000;
  state.time_unix_ns = 1'700'000'060'000'000'000;
  const Snapshot now = with_losses();
  state.coverage = now.coverage();
  state.losses = now.losses;
  state.abandoned_cnt = now.abandoned_cnt;
  state.clamped_cnt = now.clamped_cnt;
  state.caveats = with_unverified().caveats;
  state.caveats.attached_late = now.caveats.attached_late;
  state.open_waits = open_waits();
  state.target_cnt = 3;
  state.file_cnt = 2;
  state.cost = {.cpu_ns = 1'234'567'890,
                .resident_bytes = 33'554'432,
                .open_fds = 42,
                .max_fds = 1024,
                .bpf_memory_bytes = 67'108'864,
                .bpf_run_ns = 5'000'000};
  state.push = PushState{7, 2, 1, "connection refused"};
  state.scrape_cnt = 12;
  state.scrape_ns = 2'500'000;
  return state;
}

WaitTotals some_waits(const Snapshot& now, LabelChoice labels = {}) {
  WaitTotals waits(labels);
  waits.add(
      now, now,
      [](const ProcessId&) {
        return ProcessPlace{"a.service", "", "pod"};
      },
      [](const ProcessId&) { return true; });
  return waits;
}

Exposition text_of(const AgentState& state, const WaitTotals& waits) {
  return parse_exposition(prometheus_text(agent_metrics(state, waits)), false);
}

TEST(AgentMetrics, AreAllFamilies) {
  const Metrics metrics = agent_metrics(some_state(), some_waits(of_one_process()));
  const std::string text = prometheus_text(metrics, {-10, 0});
  expect_golden("agent.prom", text);
  (void)parse_exposition(text, false);
  (void)parse_exposition(openmetrics(metrics), true);
  if (!has_command("promtool")) GTEST_SKIP() << "no promtool";
  EXPECT_EQ(output_of("promtool check metrics 2>&1", text), "");
}

TEST(AgentMetrics, TheDocumentListsAllOfThem) {
  std::ifstream file(EXPORT_FOLDER "/../../docs/metrics.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  std::size_t rows = 0;
  for (std::size_t at = 0; (at = document.find("\n| `", at)) != std::string::npos; at++) rows++;
  const Metrics metrics = agent_metrics(some_state(), some_waits(of_one_process()));
  for (const MetricFamily& family : metrics.families) {
    const std::string name = family.name + (family.type == MetricType::counter ? "_total" : "");
    const char* const type = family.type == MetricType::counter ? "counter"
                             : family.type == MetricType::gauge ? "gauge"
                                                                : "histogram";
    EXPECT_NE(document.find("\n| `" + name + "` | " + type + " | "), std::string::npos) << name;
  }
  EXPECT_EQ(rows, metrics.families.size()) << "and no others";
}

TEST(AgentMetrics, ThereIsEveryLossAndEveryCounterFromTheBeginning) {
  const Exposition all = text_of({}, WaitTotals());
  for (const LossRow& loss : all_losses) EXPECT_EQ(all.value("waitprobe_waits_lost_total", {{"reason", loss.name}}), "0");
  EXPECT_EQ(all.value("waitprobe_waits_observed_total"), "0");
  EXPECT_EQ(all.value("waitprobe_series"), "0");
  EXPECT_EQ(all.value("waitprobe_series_limit"), "10000");
}

TEST(AgentMetrics, CoverageIsOneOnlyIfNothingWasLost) {
  AgentState state;
  EXPECT_EQ(text_of(state, WaitTotals()).value("waitprobe_coverage_ratio"), "1");
  state.coverage = {UINT64_MAX / 2, 0};
  EXPECT_EQ(text_of(state, WaitTotals()).value("waitprobe_coverage_ratio"), "1");
  state.coverage.lost = 1;
  EXPECT_EQ(text_of(state, WaitTotals()).value("waitprobe_coverage_ratio"), "0.9999999999999999");
  state.coverage = {3, 1};
  EXPECT_EQ(text_of(state, WaitTotals()).value("waitprobe_coverage_ratio"), "0.75");
  state.coverage = {0, 1};
  EXPECT_EQ(text_of(state, WaitTotals()).value("waitprobe_coverage_ratio"), "0");
}

TEST(AgentMetrics, WaitsHaveTheLabelsThatAreChosen) {
  Snapshot now = of_one_process();
  const Exposition plain = text_of({}, some_waits(now));
  EXPECT_EQ(plain.samples.at(0).labels.size(), 4U) << "key, class, program, le";
  const Exposition all = text_of({}, some_waits(now, {true, true, true, true, true}));
  EXPECT_EQ(all.samples.at(0).labels.at("pid"), "17");
  EXPECT_EQ(all.samples.at(0).labels.at("unit"), "a.service");
  EXPECT_EQ(all.samples.at(0).labels.at("pod"), "pod");
  EXPECT_FALSE(all.samples.at(0).labels.contains("container")) << "it has none";
}

TEST(AgentMetrics, OpenWaitsAreCountedByKeyAndTheOldestShown) {
  AgentState state;
  state.open_waits.waits = {open_wait("a", 9'000'000'000), open_wait("a", 1'500'000'000), open_wait("b", std::nullopt)};
  const Exposition all = text_of(state, WaitTotals());
  EXPECT_EQ(all.value("waitprobe_open_waits", {{"key", "a"}, {"class", "wait"}, {"program", "server"}}), "2");
  EXPECT_EQ(all.value("waitprobe_oldest_open_wait_seconds", {{"key", "a"}}), "9");
  EXPECT_EQ(all.value("waitprobe_open_waits", {{"key", "b"}}), "1");
  EXPECT_EQ(all.value("waitprobe_oldest_open_wait_seconds", {{"key", "b"}}), "") << "not known";
}

TEST(AgentMetrics, OpenWaitsOfAProgramThatMakesUpKeysLeaveRoomForOthers) {
  AgentState state;
  for (int i = 0; i < 1'000; i++) state.open_waits.waits.push_back(open_wait(std::to_string(i), 9'000'000'000));
  for (int i = 0; i < 10; i++) {
    state.open_waits.waits.push_back(open_wait("honest" + std::to_string(i), 1'000'000'000));
    state.open_waits.waits.back().comm = "late";
  }
  const Exposition all = text_of(state, WaitTotals({}, 100));
  std::uint64_t sum = 0, sets = 0, honest = 0;
  for (const ExpositionSample& sample : all.samples) {
    if (sample.name != "waitprobe_open_waits") continue;
    sum += std::stoull(sample.value);
    sets++;
    honest += sample.labels.at("program") == "late";
  }
  EXPECT_EQ(sum, 1'010U);
  EXPECT_LE(sets, 100U);
  EXPECT_EQ(honest, 10U);
}

TEST(AgentMetrics, StrangersNamesAreFitForEachFormat) {
  AgentState state = some_state();
  state.open_waits = nasty_open_waits();
  const Metrics metrics = agent_metrics(state, some_waits(of_nasty_groups(), {true, true, true, true, true}));
  (void)parse_exposition(prometheus_text(metrics), false);
  (void)parse_exposition(openmetrics(metrics), true);
  EXPECT_FALSE(prometheus_protobuf(metrics).empty());
  EXPECT_FALSE(otlp_json(metrics, {"host", "1"}).empty());
}

}  // namespace
}  // namespace waitprobe
