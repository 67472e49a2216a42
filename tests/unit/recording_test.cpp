// SPDX-License-Identifier: MIT
//
// A recording is read as what was written, however little of it is left, and shows what a live session would have.
#include "src/recording/recording_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <sstream>

#include "src/model/recordings.h"
#include "src/view/hist_table.h"
#include "src/view/json.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t begin_unix_ns = 1'700'000'000 * second_ns;

RecordingHeader header() {
  return {"0.1.0",
          begin_unix_ns,
          "web\xff"
          "1",
          "a-boot",
          "Linux 6.1",
          "x86_64",
          {"-p", "17"},
          {},
          ""};
}

// A session: the totals after each second.
std::vector<Snapshot> session() {
  std::mt19937 random(5);
  std::lognormal_distribution<double> duration(12, 3);
  std::vector<std::vector<std::uint64_t>> waits(nasty_keys().size());
  std::vector<Snapshot> totals;
  for (std::uint64_t n = 1; n <= 6; n++) {
    Snapshot now;
    now.time_unix_ns = begin_unix_ns + n * second_ns;
    now.elapsed_ns = n * second_ns;
    for (std::size_t k = 0; k < waits.size(); k++) {
      for (std::size_t i = 0; i < (k + n) % 5; i++) waits[k].push_back(static_cast<std::uint64_t>(duration(random)));
      now.series.push_back(series(nasty_keys()[k], waits[k]));
      now.series.back().comm = "c\xfe";
      now.series.back().key_class = static_cast<KeyClass>(k % 3);
    }
    merge_series(now.series);
    now.losses.gap = n;
    now.clamped_cnt = 2 * n;
    now.abandoned_cnt = 3 * n;
    if (n > 1) now.caveats.attached_late = {{17, "a\xff", "/b\xff", 1'500'000'000}};
    // One that ends in the third second, and one that is there from the fourth on.
    if (n > 2) now.caveats.unverified = {{18, "a\xff", "/b\xff", unverified::ended_unseen.name, 2'500'000'000}};
    if (n > 3) now.caveats.unverified.push_back({19, "b", "", "\x1b[1mnews"});
    totals.push_back(std::move(now));
  }
  return totals;
}

// What `record` writes of it.
std::string written(const std::vector<Snapshot>& totals, const std::vector<std::string>& key_globs = {},
                    const RecordingHeader& head = header()) {
  std::ostringstream out;
  print_json(out, head);
  Snapshot before;
  for (const Snapshot& now : totals) {
    Snapshot between = interval(now, before);
    keep_keys(between, key_globs);
    print_json(out, between);
    before = now;
  }
  print_json(out, RecordingEnd::stopped);
  return out.str();
}

RecordingHeader of_host(const std::string& host, std::uint64_t from_unix_ns) {
  RecordingHeader head = header();
  head.host = head.boot = host;
  head.time_unix_ns = from_unix_ns;
  return head;
}

// Two seconds of one process.
std::vector<Snapshot> two_seconds(std::uint64_t from_unix_ns) {
  Snapshot one = snapshot({series("a", {5, 7})}, second_ns), two = snapshot({series("a", {5, 7, 9})}, 2 * second_ns);
  one.time_unix_ns = from_unix_ns + second_ns;
  two.time_unix_ns = from_unix_ns + 2 * second_ns;
  return {one, two};
}

class RecordingTest : public testing::Test {
 protected:
  RecordingTest() {
    char name[] = "/tmp/waitprobe-recording-XXXXXX";
    close(mkstemp(name));
    file_ = name;
  }
  ~RecordingTest() override { unlink(file_.c_str()); }

  Result<Recording> read(const std::string& text) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << text;
    return read_recording(file_);
  }

  Recordings source(const std::string& text) {
    auto recordings = Recordings::merge({std::move(read(text).value())});
    return std::move(recordings.value());
  }

  std::string file_;
};

// All that a view shows, and more.
std::string told(Snapshot snapshot) {
  for (Series& s : snapshot.series) s.host.clear();
  for (ProcessGroup& one : snapshot.regrouped) one.process.host.clear();
  std::ostringstream out;
  print_json(out, snapshot);
  print_hist(out, snapshot, {.width = 100, .bars = true});
  return out.str();
}

TEST_F(RecordingTest, ClassesThatAreMissingOrNotKnownReadAsWait) {
  auto totals = two_seconds(begin_unix_ns);
  for (Snapshot& now : totals) now.series[0].key_class = KeyClass::idle;
  const std::string text = written(totals), idle = R"("class":"idle",)";
  const auto class_in = [&](const std::string& recording) { return read(recording).value().series.at(0).key_class; };
  EXPECT_EQ(class_in(text), KeyClass::idle);
  std::string without = text, other = text, once = text;
  for (std::size_t at; (at = without.find(idle)) != std::string::npos;) without.erase(at, idle.size());
  for (std::size_t at; (at = other.find("idle")) != std::string::npos;) other.replace(at, 4, "nap");
  once.replace(once.rfind("idle"), 4, "work");
  EXPECT_EQ(class_in(without), KeyClass::wait);
  EXPECT_EQ(class_in(other), KeyClass::wait) << "a later version may know more of them";
  EXPECT_EQ(class_in(once), KeyClass::wait) << "its lines disagree";
}

TEST_F(RecordingTest, ShowsAtEachMomentWhatTheSessionShowed) {
  const auto live = session();
  Recordings recorded = source(written(live));
  Snapshot before;
  for (std::size_t i = 0; i < live.size(); i++) {
    const auto totals = recorded.totals_at((i + 1) * second_ns);
    EXPECT_EQ(told(totals.snapshot), told(live[i])) << i;
    EXPECT_EQ(totals.is_last, i + 1 == live.size());
    EXPECT_EQ(told(interval(totals.snapshot, before)), told(interval(live[i], i > 0 ? live[i - 1] : Snapshot()))) << i;
    before = totals.snapshot;
  }
  recorded.rewind();
  EXPECT_EQ(told(recorded.totals_at(UINT64_MAX).snapshot), told(live.back()));
}

// Two processes wait on two keys each; the second gets its group, whose name is hard to print, after its first waits, and gives
// it up in the end. Its second key has no waits after the first second, and itself none while it changes its group once more.
std::vector<Snapshot> session_of_groups() {
  const std::vector<std::optional<std::string>> groups = {std::nullopt, "\x1b\xff", "7", std::nullopt};
  std::vector<Snapshot> totals;
  for (std::uint64_t n = 1; n <= groups.size(); n++) {
    Snapshot now;
    now.time_unix_ns = begin_unix_ns + n * second_ns;
    now.elapsed_ns = n * second_ns;
    now.group_by = "RA\xffNK";
    now.series = {series("a", std::vector<std::uint64_t>(n, 5), 17), series("b", {6}, 17),
                  series("a", std::vector<std::uint64_t>(n < 3 ? n : 2, 7), 18), series("b", {8}, 18)};
    for (Series& s : now.series) s.group = s.pid == 17 ? "0" : groups[n - 1];
    merge_series(now.series);
    totals.push_back(std::move(now));
  }
  return totals;
}

TEST_F(RecordingTest, ShowsAtEachMomentTheGroupsOfThatMoment) {
  const auto live = session_of_groups();
  RecordingHeader head = header();
  head.group_by = "RA\xffNK";
  const std::string text = written(live, {}, head);
  Recordings recorded = source(text);
  ASSERT_TRUE(recorded.group_by("RA\xffNK"));
  for (int turn = 0; turn < 2; turn++) {
    Snapshot before;
    for (std::size_t i = 0; i < live.size(); i++) {
      const Snapshot totals = recorded.totals_at((i + 1) * second_ns).snapshot;
      EXPECT_EQ(told(totals), told(live[i])) << i;
      EXPECT_EQ(told(interval(totals, before)), told(interval(live[i], i > 0 ? live[i - 1] : Snapshot()))) << i;
      before = totals;
    }
    recorded.rewind();
  }
  EXPECT_NE(text.find("\"regrouped\""), std::string::npos);
  EXPECT_EQ(source(text).totals_at(UINT64_MAX).snapshot.group_by, "") << "nobody asked";
  EXPECT_FALSE(source(text).totals_at(UINT64_MAX).snapshot.series.at(0).group);
}

TEST_F(RecordingTest, GroupsThatWereNotRecordedAreNotThere) {
  const auto why = [&](const std::string& recorded_by) {
    RecordingHeader head = header();
    head.group_by = recorded_by;
    return source(written(session_of_groups(), {}, head)).group_by("RANK").error().why;
  };
  EXPECT_EQ(why(""), "it was recorded without --by-env");
  EXPECT_EQ(why("LOCAL_RANK"), "it was recorded --by-env LOCAL_RANK");
}

TEST_F(RecordingTest, GroupsOfSeveralMachinesStandSideBySide) {
  std::vector<Recording> all;
  for (const char* host : {"a", "b"}) {
    auto totals = two_seconds(begin_unix_ns);
    for (Snapshot& one : totals) {
      one.group_by = "RANK";
      one.series[0].group = host[0] == 'a' ? "0" : "1";
    }
    RecordingHeader head = of_host(host, begin_unix_ns);
    head.group_by = "RANK";
    all.push_back(read(written(totals, {}, head)).value());
  }
  auto merged = Recordings::merge(std::move(all));
  ASSERT_TRUE(merged->group_by("RANK"));
  const Snapshot total = merged->totals_at(UINT64_MAX).snapshot;
  ASSERT_EQ(total.series.size(), 2U);
  EXPECT_EQ(total.series[0].group, "0");
  EXPECT_EQ(total.series[1].group, "1");
}

TEST_F(RecordingTest, KeepsTheBytesOfNames) {
  const Recording recording = read(written(session())).value();
  EXPECT_EQ(recording.header.host,
            "web\xff"
            "1");
  EXPECT_EQ(recording.header.targets, (std::vector<std::string>{"-p", "17"}));
  EXPECT_EQ(recording.end, RecordingEnd::stopped);
  EXPECT_EQ(recording.intervals.back().end_unix_ns, begin_unix_ns + 6 * second_ns);
  bool found = false;
  for (const SeriesId& id : recording.series) found |= id.key == "broken\xff\xfe utf-8 \xe2\x82" && id.comm == "c\xfe";
  EXPECT_TRUE(found);
}

TEST_F(RecordingTest, RemembersThatKeysWereLeftOut) {
  const auto live = session();
  Snapshot wanted = live.back();
  keep_keys(wanted, {"quote*"});
  ASSERT_GT(wanted.left_out_cnt, 0U);
  EXPECT_EQ(told(source(written(live, {"quote*"})).totals_at(UINT64_MAX).snapshot), told(wanted));
}

TEST_F(RecordingTest, IsReadAsFarAsItGoesWhereverItWasCutOff) {
  // A small one: it is read as often as it has bytes.
  std::vector<Snapshot> totals = session();
  for (Snapshot& one : totals) one.series.resize(2);
  const std::string text = written({totals[0], totals[1], totals[2]});
  std::vector<std::size_t> line_ends;
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at++) line_ends.push_back(at + 1);
  ASSERT_EQ(line_ends.size(), 5U);
  for (std::size_t bytes = 0; bytes < text.size(); bytes++) {
    const auto recording = read(text.substr(0, bytes));
    if (bytes < line_ends[0] - 1) {
      ASSERT_FALSE(recording) << bytes;
      EXPECT_EQ(recording.error().on, file_);
      continue;
    }
    ASSERT_TRUE(recording) << bytes;
    std::size_t whole = 0;
    while (line_ends[whole] <= bytes) whole++;
    EXPECT_EQ(recording->intervals.size(), whole == 0 ? 0 : whole - 1) << bytes;
    EXPECT_EQ(recording->end, RecordingEnd::missing);
    const bool between_lines = bytes == line_ends[0] - 1 || bytes == line_ends[whole - 1];
    EXPECT_EQ(recording->stopped_why, between_lines ? "" : "line " + std::to_string(whole + 1) + " breaks off") << bytes;
    EXPECT_EQ(recording->read_bytes, line_ends[whole == 0 ? 0 : whole - 1]) << bytes;
  }
}

TEST_F(RecordingTest, StopsAtALineThatIsNoneWhateverIsInItsPlace) {
  const std::string text = written(session());
  const std::size_t second = text.find('\n') + 1, third = text.find('\n', second) + 1;
  const std::string line = text.substr(second, third - second);
  const auto without = [&](const std::string& what, const std::string& instead) {
    std::string changed = line;
    const std::size_t at = changed.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return changed.replace(at, what.size(), instead);
  };
  for (const std::string& bad :
       {std::string("\n"), std::string("{}\n"), std::string("[]\n"), std::string("7\n"), std::string(100'000, '[') + "\n",
        without("\"waitprobe\":1", "\"waitprobe\":2"), without("\"elapsed_ns\":", "\"elapsed_ns\":-"),
        without("\"series\":[", "\"series\":[7,"), without("\"total_ns\":", "\"total_ns\":\"x\",\"t\":"),
        without("\"lo_ns\":", "\"lo_ns\":1e300,\"l\":"), without("\"pid\":17", "\"pid\":4294967296"),
        without("_hex\":\"", "_hex\":\"zz"), without("\"observed\":", "\"observed\":null,\"o\":"),
        without("\"gap\":", "\"gap\":-"), std::string("{\"waitprobe_end\":\"sometime\"}\n")}) {
    const auto recording = read(text.substr(0, second) + bad + text.substr(second));
    ASSERT_TRUE(recording) << bad.substr(0, 100);
    EXPECT_EQ(recording->stopped_why, "line 2 is not that of a recording") << bad.substr(0, 100);
    EXPECT_TRUE(recording->intervals.empty());
  }
}

TEST_F(RecordingTest, WhatIsNoneIsRefused) {
  for (const char* text : {"", "\n", "hello", "{\"waitprobe\":1}\n", "{\"waitprobe_recording\":1}\n"}) {
    const auto recording = read(text);
    ASSERT_FALSE(recording) << text;
    EXPECT_EQ(recording.error().on, file_);
    EXPECT_FALSE(recording.error().why.empty());
  }
  const auto newer = read("{\"waitprobe_recording\":3}\n");
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().why, "it has format 3, and this waitprobe knows 2");
  const auto older = read("{\"waitprobe_recording\":1,\"version\":\"0.1.0\"}\n");
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().why, "it has format 1, whose buckets cannot be converted to those of format 2");
  EXPECT_EQ(older.error().hint, "read it with the waitprobe that wrote it, version 0.1.0");
  EXPECT_FALSE(read_recording("/nowhere/at.all"));
  EXPECT_EQ(read_recording("/dev/zero").error().why, "its first line is not that of a recording");
}

TEST_F(RecordingTest, AClockThatIsSetBackDoesNotTurnTimeBack) {
  auto live = session();
  for (std::size_t i = 3; i < live.size(); i++) live[i].time_unix_ns -= 3600 * second_ns;
  const Recording recording = read(written(live)).value();
  for (std::size_t i = 0; i < live.size(); i++)
    EXPECT_EQ(recording.intervals[i].end_unix_ns, begin_unix_ns + (i + 1) * second_ns);
}

TEST_F(RecordingTest, SeveralAreAddedUp) {
  const std::uint64_t later_ns = begin_unix_ns + 10 * second_ns;
  std::vector<Recording> all;
  all.push_back(read(written(two_seconds(begin_unix_ns), {}, of_host("a", begin_unix_ns))).value());
  all.push_back(read(written(two_seconds(begin_unix_ns), {}, of_host("b", begin_unix_ns))).value());
  all.push_back(read(written(two_seconds(later_ns), {}, of_host("a", later_ns))).value());
  auto merged = Recordings::merge(std::move(all));
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->end_unix_ns() - merged->begin_unix_ns(), 12 * second_ns);
  Snapshot total = merged->totals_at(UINT64_MAX).snapshot;
  EXPECT_EQ(total.elapsed_ns, 4 * second_ns) << "the eight seconds between are not covered";
  ASSERT_EQ(total.series.size(), 2U);
  EXPECT_EQ(total.series[0].host, "a");
  EXPECT_EQ(total.series[0].histogram.count(), 6U);
  EXPECT_EQ(total.series[1].host, "b");
  EXPECT_EQ(total.series[1].histogram.count(), 3U);
  std::ostringstream out;
  print_hist(out, total, {});
  EXPECT_NE(out.str().find("server (17) on b\n"), std::string::npos) << out.str();
  add_up_processes(total.series);
  ASSERT_EQ(total.series.size(), 1U);
  EXPECT_EQ(total.series[0].histogram.count(), 9U);
  EXPECT_EQ(total.series[0].comm, "");
}

TEST_F(RecordingTest, WhatTwoToolsSawOfOneProcessIsNotAddedUp) {
  const std::uint64_t later_ns = begin_unix_ns + second_ns;
  std::vector<Recording> all;
  all.push_back(read(written(two_seconds(begin_unix_ns), {}, of_host("a", begin_unix_ns))).value());
  all.push_back(read(written(two_seconds(later_ns), {}, of_host("a", later_ns))).value());
  const auto merged = Recordings::merge(std::move(all));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().why, "both hold waits of process 17 (server) at the same time, which would count twice");
}

TEST_F(RecordingTest, AnIntervalBelongsToTheMomentThatIsNearest) {
  auto live = two_seconds(begin_unix_ns);
  live[0].elapsed_ns += 1'000'000;  // a little late, as they are
  live[0].time_unix_ns += 1'000'000;
  Recordings recorded = source(written(live));
  const auto nothing = recorded.totals_at(second_ns / 4);
  EXPECT_EQ(nothing.snapshot.elapsed_ns, 0U);
  EXPECT_EQ(nothing.next_ns, second_ns / 2 + 500'000) << "the middle of the first";
  EXPECT_EQ(recorded.totals_at(second_ns).snapshot.series[0].histogram.count(), 2U);
}

}  // namespace
}  // namespace waitprobe
