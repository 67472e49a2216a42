// SPDX-License-Identifier: MIT
#include "src/model/wait_totals.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>
#include <set>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

ProcessPlace nowhere(const ProcessId&) { return {}; }

// A machine whose processes wait, start and end; totals are scraped.
class Machine {
 public:
  explicit Machine(std::size_t max_series = WaitTotals::default_max_series, LabelChoice labels = {})
      : totals(labels, max_series) {}

  void wait(const std::string& program, const std::string& key, std::uint32_t pid, std::uint64_t ns = 1'000,
            KeyClass key_class = KeyClass::wait) {
    Series s = series(key, {ns}, pid);
    s.comm = program;
    s.key_class = key_class;
    alive.insert(pid);
    all_.push_back(s);
    waits++;
  }
  void rename(std::uint32_t pid, const std::string& program) {
    for (Series& s : all_) {
      if (s.pid == pid) s.comm = program;
    }
  }
  void reclass(std::uint32_t pid, KeyClass key_class) {
    for (Series& s : all_) {
      if (s.pid == pid) s.key_class = key_class;
    }
  }
  void forget(std::uint32_t pid) {
    alive.erase(pid);
    std::erase_if(all_, [&](const Series& s) { return s.pid == pid; });
  }

  void scrape(const std::vector<WaitExemplar>& exemplars = {}) {
    merge_series(all_);
    now_.series = all_;
    now_.time_unix_ns += 5'000'000'000;
    now_.elapsed_ns += 5'000'000'000;
    totals.add(
        interval(now_, before_), now_, nowhere, [&](const ProcessId& p) { return alive.contains(p.pid); }, exemplars);
    before_ = now_;
  }

  std::uint64_t time() const { return now_.time_unix_ns; }

  std::uint64_t sum() const {
    std::uint64_t sum = 0;
    for (const auto& [labels, total] : totals.totals()) sum += total.histogram.count();
    return sum;
  }
  std::size_t sets_of(const std::string& program) const {
    return static_cast<std::size_t>(std::count_if(totals.totals().begin(), totals.totals().end(),
                                                  [&](const auto& set) { return set.first.program == program; }));
  }
  const WaitTotals::Total* find(const std::string& program, const std::string& key, KeyClass key_class = KeyClass::wait) const {
    for (const auto& [labels, total] : totals.totals()) {
      if (labels.program == program && labels.key == key && labels.key_class == key_class) return &total;
    }
    return nullptr;
  }
  std::uint64_t count(const std::string& program, const std::string& key, KeyClass key_class = KeyClass::wait) const {
    const WaitTotals::Total* const total = find(program, key, key_class);
    return total == nullptr ? 0 : total->histogram.count();
  }

  WaitTotals totals;
  std::set<std::uint32_t> alive;
  std::uint64_t waits = 0;

 private:
  std::vector<Series> all_;
  Snapshot now_ = snapshot({}, 0), before_;
};

TEST(WaitTotals, AddUpProcessesOfAProgram) {
  Machine m;
  m.wait("server", "a", 1);
  m.wait("server", "a", 2);
  m.wait("client", "a", 3);
  m.scrape();
  m.wait("server", "a", 1);
  m.scrape();
  EXPECT_EQ(m.count("server", "a"), 3U);
  EXPECT_EQ(m.count("client", "a"), 1U);
  EXPECT_EQ(m.totals.totals().size(), 2U);
}

TEST(WaitTotals, ANewNameOrClassMovesNothingThatWasCounted) {
  Machine m;
  m.wait("old", "a", 1);
  m.scrape();
  m.rename(1, "new");
  m.reclass(1, KeyClass::idle);
  m.scrape();
  EXPECT_EQ(m.count("old", "a"), 1U);
  EXPECT_EQ(m.count("new", "a", KeyClass::idle), 0U);
  m.wait("new", "a", 1, 1'000, KeyClass::idle);
  m.reclass(1, KeyClass::idle);
  m.scrape();
  EXPECT_EQ(m.count("old", "a"), 1U);
  EXPECT_EQ(m.count("new", "a", KeyClass::idle), 1U);
}

TEST(WaitTotals, HaveTheLabelsThatAreChosen) {
  WaitTotals all({true, true, true, true, true}, 100), none;
  Snapshot now = snapshot({series("a", {1}, 17), series("a", {1}, 0)});
  now.series[0].group = "3\xff";
  const auto place_of = [](const ProcessId& process) -> ProcessPlace {
    EXPECT_EQ(process.pid, 17U) << "not asked of those that have ended and have no number";
    return {"a.service", "c\n", "pod-1"};
  };
  const auto is_alive = [](const ProcessId&) { return true; };
  all.add(now, now, place_of, is_alive);
  none.add(now, now, place_of, is_alive);
  ASSERT_EQ(all.totals().size(), 2U);
  EXPECT_EQ(all.totals().begin()->first, (WaitLabels{"server", "a", KeyClass::wait, 0, "", "", "", ""}));
  EXPECT_EQ(all.totals().rbegin()->first,
            (WaitLabels{"server", "a", KeyClass::wait, 17, "a.service", "c\n", "pod-1", "3\xef\xbf\xbd"}));
  ASSERT_EQ(none.totals().size(), 1U);
  EXPECT_EQ(none.totals().begin()->second.histogram.count(), 2U);
}

TEST(WaitTotals, KeysThatLookTheSameAreOneSet) {
  Machine m;
  m.wait("p", "a\xff", 1);
  m.wait("p", "a\xfe", 1);
  m.wait("p", std::string(300, 'x') + "1", 1);
  m.wait("p", std::string(300, 'x') + "22", 1);
  m.scrape();
  EXPECT_EQ(m.totals.totals().size(), 2U);
  EXPECT_EQ(m.sum(), 4U);
}

TEST(WaitTotals, AProgramThatMakesUpKeysLeavesRoomForTheOthers) {
  Machine m(1'000);
  for (int i = 0; i < 5'000; i++) m.wait("evil", "key" + std::to_string(i), 1);
  m.scrape();
  EXPECT_NEAR(m.sets_of("evil"), 500, 2);
  for (int program = 0; program < 20; program++) {
    for (int i = 0; i < 12; i++) m.wait("honest" + std::to_string(program), "key" + std::to_string(i), 100 + program);
  }
  for (int i = 0; i < 5'000; i++) m.wait("evil", "more" + std::to_string(i), 1);
  m.scrape();
  EXPECT_NEAR(m.sets_of("evil"), 500, 2) << "it gets no more";
  for (int program = 0; program < 20; program++) {
    EXPECT_EQ(m.sets_of("honest" + std::to_string(program)), 12U) << "nothing is left out";
    EXPECT_EQ(m.count("honest" + std::to_string(program), other_label), 0U);
  }
  EXPECT_EQ(m.sum(), m.waits);
  EXPECT_EQ(m.totals.left_out_cnt(), 10'000U - 500 + 1);
  EXPECT_EQ(m.count("evil", other_label), m.totals.left_out_cnt());
}

TEST(WaitTotals, OneProgramAfterAnotherThatMakesUpKeysStillGetsItsShare) {
  Machine m(10'000);
  for (std::uint32_t program = 0; program < 8; program++) {
    for (int i = 0; i < 11'000; i++) m.wait("evil" + std::to_string(program), std::to_string(i), 1 + program);
    m.scrape();
    ASSERT_LE(m.totals.totals().size(), 10'000U);
  }
  for (int i = 0; i < 15; i++) m.wait("honest", std::to_string(i), 100);
  m.scrape();
  EXPECT_EQ(m.sets_of("honest"), 15U);
  EXPECT_EQ(m.count("honest", other_label), 0U);
  EXPECT_EQ(m.sum(), m.waits);
  EXPECT_EQ(m.totals.given_up_cnt(), 0U) << "all live";
}

TEST(WaitTotals, ThereIsAlwaysAPlaceForWaits) {
  Machine m(WaitTotals::least_max_series);
  std::mt19937 random(1);
  for (int round = 0; round < 200; round++) {
    const std::uint32_t program = random() % 50, key = random() % 50;
    m.wait("program" + std::to_string(program), "key" + std::to_string(key), 1 + program, 1'000,
           static_cast<KeyClass>(key % 3));
    m.wait(other_label, random() % 2 == 0 ? other_label : "key", 99);
    m.scrape();
    ASSERT_LE(m.totals.totals().size(), m.totals.max_series());
    ASSERT_EQ(m.sum(), m.waits);
  }
  EXPECT_EQ(m.totals.given_up_cnt(), 0U) << "all live";
  EXPECT_GT(m.count(other_label, other_label, KeyClass::work), 0U);
}

TEST(WaitTotals, SetsOfTheDeadAreGivenUpTheLongestUnchangedFirst) {
  Machine m(103);
  for (std::uint32_t i = 0; i < 40; i++) {
    m.wait("p" + std::to_string(i), "a", 1 + i);
    m.wait("p" + std::to_string(i), "b", 1 + i);
    m.scrape();
  }
  ASSERT_EQ(m.totals.totals().size(), 80U) << "one after another, so there is room";
  for (std::uint32_t i = 0; i < 40; i += 2) m.forget(1 + i);
  m.scrape();
  EXPECT_EQ(m.totals.given_up_cnt(), 0U) << "as long as there is room";
  for (int i = 0; i < 20; i++) m.wait("new", std::to_string(i), 100);
  m.scrape();
  EXPECT_EQ(m.sets_of("new"), 20U);
  EXPECT_EQ(m.totals.left_out_cnt(), 0U);
  EXPECT_GT(m.totals.given_up_cnt(), 15U);
  EXPECT_LT(m.totals.given_up_cnt(), 40U) << "no more than needed";
  EXPECT_EQ(m.find("p0", "a"), nullptr);
  EXPECT_NE(m.find("p1", "a"), nullptr) << "it lives";
  EXPECT_NE(m.find("p38", "a"), nullptr) << "the last that ended";
}

TEST(WaitTotals, WhatEndedInThisIntervalIsStillShown) {
  Machine m(103);
  for (std::uint32_t i = 0; i < 150; i++) m.wait("p" + std::to_string(i), "a", 1 + i);
  m.alive.clear();
  m.scrape();
  EXPECT_EQ(m.totals.totals().size(), 101U);
  EXPECT_EQ(m.sum(), 150U);
  EXPECT_EQ(m.count(other_label, other_label), 50U);
}

TEST(WaitTotals, ASetThatComesBackStartsAnew) {
  Machine m(13);
  m.wait("job", "a", 1);
  const std::uint64_t start = m.time();
  m.scrape();
  ASSERT_NE(m.find("job", "a"), nullptr);
  EXPECT_EQ(m.find("job", "a")->created_unix_ns, start);
  m.forget(1);
  for (std::uint32_t i = 0; i < 10; i++) m.wait("p" + std::to_string(i), "a", 2 + i);
  m.scrape();
  ASSERT_EQ(m.find("job", "a"), nullptr);
  m.forget(2);
  m.scrape();
  m.wait("job", "a", 99);
  const std::uint64_t again = m.time();
  m.scrape();
  ASSERT_NE(m.find("job", "a"), nullptr);
  EXPECT_EQ(m.find("job", "a")->created_unix_ns, again);
  EXPECT_EQ(m.count("job", "a"), 1U);
}

TEST(WaitTotals, AProcessThatChangesItsNamePushesNobodyOut) {
  Machine m(203);
  for (int i = 0; i < 20; i++) m.wait("honest", std::to_string(i), 1);
  m.scrape();
  for (int round = 0; round < 1'000; round++) {
    m.rename(2, "name" + std::to_string(round));
    m.wait("name" + std::to_string(round), "a", 2);
    m.scrape();
    ASSERT_LE(m.totals.totals().size(), 203U);
  }
  for (int i = 0; i < 20; i++) m.wait("late", std::to_string(i), 3);
  m.scrape();
  EXPECT_EQ(m.sets_of("honest"), 20U);
  EXPECT_EQ(m.sets_of("late"), 20U) << "the names that it had are given up";
}

TEST(WaitTotals, ExemplarsAreTheSlowestSinceSomebodyHadThem) {
  Machine m;
  m.wait("p", "a", 1, 1'000);
  m.wait("p", "a", 1, 1'001);
  m.wait("p", "a", 1, 5'000'000);
  m.wait("p", "other", 1);
  const auto exemplar = [](const std::string& key, std::uint64_t ns) {
    Series s = series(key, {}, 1);
    s.comm = "p";
    return WaitExemplar{s, std::nullopt, {ns, 7, 1, 1, ""}};
  };
  m.scrape({exemplar("a", 1'000), exemplar("a", 1'001), exemplar("a", 1'000), exemplar("a", 5'000'000), exemplar("b", 1)});
  const auto& exemplars = m.find("p", "a")->exemplars;
  ASSERT_EQ(exemplars.size(), 2U);
  EXPECT_EQ(exemplars.at(wp_bucket_of(1'000)).duration_ns, 1'001U);
  EXPECT_TRUE(m.find("p", "other")->exemplars.empty());

  m.scrape({exemplar("a", 1'010)});
  ASSERT_EQ(exemplars.size(), 2U);
  EXPECT_EQ(exemplars.at(wp_bucket_of(1'000)).duration_ns, 1'001U) << "its wait has not been counted";
  m.wait("p", "a", 1, 1'010);
  m.wait("p", "a", 2, 999);
  m.wait("p", "a", 2, 5'900'000);
  m.scrape({exemplar("a", 999), exemplar("a", 5'900'000), exemplar("a", 9'000'000)});
  ASSERT_EQ(exemplars.size(), 2U) << "one for each power of two, in whatever bucket it is";
  EXPECT_EQ(exemplars.at(wp_bucket_of(1'000)).duration_ns, 1'010U) << "it was there before its wait";
  EXPECT_EQ(exemplars.at(wp_bucket_of(5'900'000)).duration_ns, 5'900'000U) << "no wait was longer";
  m.totals.forget_exemplars();
  EXPECT_TRUE(exemplars.empty());
}

// Months of programs that come and go.
TEST(WaitTotals, StayBoundedAndQuickHoweverManyKeysThereHaveBeen) {
  Machine m(1'000);
  for (int i = 0; i < 800; i++) m.wait("server", std::to_string(i), 1);
  double slowest_ms = 0;
  for (std::uint32_t round = 0; round < 300; round++) {
    const std::uint32_t pid = 2 + round;
    for (int i = 0; i < 100; i++)
      m.wait("job" + std::to_string(round % 7), std::to_string(round) + "." + std::to_string(i), pid);
    const auto start = std::chrono::steady_clock::now();
    m.scrape();
    slowest_ms =
        std::max(slowest_ms, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    if (round >= 3) m.forget(pid - 3);
    ASSERT_LE(m.totals.totals().size(), 1'000U);
  }
  std::printf("300 scrapes of %zu sets, the slowest took %.1f ms; %llu given up\n", m.totals.totals().size(), slowest_ms,
              static_cast<unsigned long long>(m.totals.given_up_cnt()));
  EXPECT_NEAR(m.sets_of("server"), 500, 10);
}

}  // namespace
}  // namespace waitprobe
