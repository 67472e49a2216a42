// SPDX-License-Identifier: MIT
#include "src/model/series_totals.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

using Counts = std::map<std::string, std::uint64_t>;

Series of_process(std::uint32_t pid, const std::string& key, const std::vector<std::uint64_t>& durations = {1}) {
  Series s = series(key, durations, pid);
  s.process_start_ticks = pid;
  s.comm = "program" + std::to_string(pid % 2);
  return s;
}

void add(SeriesTotals& totals, const Series& s) { totals.entry_of(s).first.series.histogram.add(s.histogram); }

SeriesTotals::Entry& entry_of(SeriesTotals& totals, Series identity) {
  identity.histogram = {};
  return totals.entry_of(std::move(identity)).first;
}

Counts counts_of(const std::vector<Series>& all) {
  Counts counts;
  for (const Series& s : all)
    counts[s.comm + " " + (s.is_of_program() ? "ended" : std::to_string(s.pid)) + " " + s.key] += s.histogram.count();
  return counts;
}

std::optional<std::string> no_group(const Series&) { return std::nullopt; }

TEST(SeriesTotals, ProcessesThatHaveEndedAreAddedUpByProgramAndKeyBeyondTheMost) {
  SeriesTotals totals;
  for (std::uint32_t pid = 1; pid <= 6; pid++) {
    for (const char* key : {"a", "b"})
      entry_of(totals, of_process(pid, key)).series.histogram.add(series("x", {pid}).histogram);
  }
  totals.add_up_ended(
      1, [](const ProcessId& process) { return process.pid != 2; }, no_group);
  EXPECT_EQ(counts_of(totals.all()), (Counts{{"program0 2 a", 1},
                                             {"program0 2 b", 1},
                                             {"program0 6 a", 1},
                                             {"program0 6 b", 1},
                                             {"program0 ended a", 1},
                                             {"program0 ended b", 1},
                                             {"program1 ended a", 3},
                                             {"program1 ended b", 3}}));
  EXPECT_EQ(totals.added_up_cnt(), 4U);
  EXPECT_EQ(totals.process_cnt(), 2U);
  for (const Series& s : totals.all()) EXPECT_EQ(s.process_cnt, s.is_of_program() && s.comm == "program1" ? 3U : 1U);
}

TEST(SeriesTotals, WhatHasMoreElsewhereStays) {
  SeriesTotals totals;
  entry_of(totals, of_process(1, "a"));
  entry_of(totals, of_process(1, "b")).places = 1;
  totals.add_up_ended(
      0, [](const ProcessId&) { return true; }, no_group);
  EXPECT_EQ(totals.added_up_cnt(), 0U);
  entry_of(totals, of_process(1, "b")).places = 0;
  totals.add_up_ended(
      0, [](const ProcessId&) { return true; }, no_group);
  EXPECT_EQ(totals.added_up_cnt(), 1U);
}

TEST(SeriesTotals, GroupsStayApart) {
  SeriesTotals totals;
  for (std::uint32_t pid = 1; pid <= 8; pid++) add(totals, of_process(2 * pid, "a"));
  totals.add_up_ended(
      0, [](const ProcessId&) { return true; },
      [](const Series& s) { return std::optional(s.pid % 4 == 0 ? std::string("one") : std::string("other")); });
  const auto all = totals.all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(all[0].group, all[1].group);
}

TEST(SeriesTotals, KeysAfterTheMostOfAProcessAreAddedUp) {
  SeriesTotals totals;
  for (std::size_t i = 0; i < most_series + 500; i++) add(totals, of_process(1, "key" + std::to_string(i), {i + 1}));
  const auto all = totals.all();
  EXPECT_EQ(all.size(), most_series + 1);
  EXPECT_EQ(counts_of(all)["program1 1 (other keys)"], 500U);
  EXPECT_EQ(totals.process_cnt(), 1U);
}

TEST(SeriesTotals, ProgramsAfterTheMostAreAddedUp) {
  SeriesTotals totals;
  for (std::uint32_t i = 0; i < most_series + 300; i++) {
    Series s = of_process(i + 1, "a");
    s.comm = std::to_string(i);
    add(totals, s);
  }
  totals.add_up_ended(
      0, [](const ProcessId&) { return true; }, no_group);
  const auto all = totals.all();
  EXPECT_EQ(all.size(), most_series + 1);
  EXPECT_EQ(counts_of(all)["(other programs) ended (other keys)"], 300U);
}

// Whatever is added up between two snapshots, their interval holds what has come between them, and nothing else.
TEST(SeriesTotals, IntervalsDoNotSeeThatProcessesWereAddedUp) {
  std::mt19937 random(7);
  SeriesTotals totals;
  Snapshot before;
  std::uint64_t added_up = 0;
  for (int round = 0; round < 200; round++) {
    Counts came;
    for (int i = 0; i < 20; i++) {
      const Series s =
          of_process(1 + static_cast<std::uint32_t>(round + random() % 5), random() % 2 == 0 ? "a" : "b", {random() % 999 + 1});
      add(totals, s);
      came[s.comm + " " + s.key] += 1;
    }
    if (random() % 3 == 0) {
      const auto has_ended = [&](const ProcessId& process) {
        return process.pid <= static_cast<std::uint32_t>(round) && random() % 2 == 0;
      };
      totals.add_up_ended(random() % 3, has_ended, no_group);
    }
    Snapshot now;
    now.series = totals.all();
    Counts seen;
    for (const Series& s : interval(now, before).series) seen[s.comm + " " + s.key] += s.histogram.count();
    ASSERT_EQ(seen, came) << round;
    added_up = totals.added_up_cnt();
    before = now;
  }
  EXPECT_GT(added_up, 50U);
}

// Nor do they see that it had changed its name.
TEST(SeriesTotals, IntervalsDoNotSeeThatWhatWasAddedUpHadAnotherNameThen) {
  SeriesTotals totals;
  const auto add_named = [&](const char* comm, std::vector<std::uint64_t> ns) {
    Series s = of_process(1, "a", std::move(ns));
    s.comm = comm;
    add(totals, s);
  };
  add_named("before", {1, 1, 1});
  Snapshot before, now;
  before.series = totals.all();
  add_named("after", {1});
  totals.add_up_ended(
      0, [](const ProcessId&) { return true; }, no_group);
  now.series = totals.all();
  std::uint64_t cnt = 0;
  for (const Series& s : interval(now, before).series) cnt += s.histogram.count();
  EXPECT_EQ(cnt, 1U);
}

}  // namespace
}  // namespace waitprobe
