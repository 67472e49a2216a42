// SPDX-License-Identifier: MIT
//
// The screen of `top`, and its keys.
#include "src/view/top_screen.h"

#include <gtest/gtest.h>

#include "src/view/columns.h"
#include "src/view/escape.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

TopData data_of(const Snapshot& total) {
  TopData data;
  data.target = "process 17 (server)";
  Snapshot ordered = total;
  merge_series(ordered.series);
  data.total = std::make_shared<const Snapshot>(std::move(ordered));
  data.interval = interval(*data.total, snapshot({series("disk.read", {35'000}), series("quiet", {1})}, 1'000'000'000));
  return data;
}

// As an editor shows it: a line for each of the screen, without blanks at their ends, marked where they are special.
std::string text_of(const std::vector<TopLine>& lines) {
  std::string text;
  for (const TopLine& line : lines) {
    text += line.text;
    while (!text.empty() && text.back() == ' ') text.pop_back();
    text += line.style == TopStyle::selected ? " <\n" : "\n";
  }
  return text;
}

std::string screen(TopState state, const TopData& data, std::size_t rows = 24, std::size_t columns = 78) {
  return text_of(render(state, data, rows, columns));
}

// A screen on which the keys of a text are pressed.
struct Pressed {
  explicit Pressed(const TopData& shown) : data(shown) { draw(); }

  Pressed& keys(const std::string& text) {
    for (const char c : text) press(state, data, TopKey::text, std::string(1, c), 24);
    draw();
    return *this;
  }
  Pressed& key(TopKey key) {
    press(state, data, key, "", 24);
    draw();
    return *this;
  }
  void draw() { lines = render(state, data, 24, 80); }
  std::string selected() const {
    for (const TopLine& line : lines) {
      if (line.style == TopStyle::selected) return line.text.substr(0, line.text.find(' '));
    }
    return "";
  }
  bool shows(const std::string& text) const { return text_of(lines).find(text) != std::string::npos; }

  TopData data;
  TopState state;
  std::vector<TopLine> lines;
};

Snapshot of_many(std::size_t cnt) {
  Snapshot s = snapshot({});
  for (std::size_t i = 0; i < cnt; i++) s.series.push_back(series("key." + std::to_string(100 + i), {1'000 * (cnt - i)}));
  merge_series(s.series);
  return s;
}

TEST(Top, OneProcess) { expect_golden("top.txt", screen({}, data_of(of_one_process()))); }
TEST(Top, SeveralProcesses) { expect_golden("top_processes.txt", screen({}, data_of(of_two_processes()))); }
TEST(Top, NastyKeys) { expect_golden("top_nasty.txt", screen({}, data_of(with_nasty_keys()))); }
TEST(Top, NastyNames) { expect_golden("top_nasty_names.txt", screen({}, data_of(with_nasty_names()))); }
TEST(Top, Bars) {
  TopState state;
  state.bars = state.totals = true;
  expect_golden("top_bars.txt", screen(state, data_of(of_one_process())));
}
TEST(Top, Help) {
  TopState state;
  state.help = true;
  expect_golden("top_help.txt", screen(state, data_of(of_one_process())));
}

TEST(Top, LossesAndItsTargetsEnd) {
  TopData data = data_of(with_losses());
  data.ended = "has ended at 12:34:56 with status 7";
  expect_golden("top_ended.txt", screen({}, data));
}

TEST(Top, ALowScreenHasRowsRatherThanNotes) {
  const TopData data = data_of(with_losses());
  EXPECT_NE(screen({}, data, 9).find("longjmp"), std::string::npos);
  EXPECT_EQ(screen({}, data, 8).find("longjmp"), std::string::npos);
  EXPECT_NE(screen({}, data, 8).find("a.key.tha"), std::string::npos);
}

TEST(Top, HasAsManyLinesAsTheWindowAndNoneIsWider) {
  for (const Snapshot& s :
       {of_one_process(), of_two_processes(), with_nasty_keys(), with_losses(), of_extremes(), of_many(100), snapshot({})}) {
    TopData data = data_of(s);
    data.target = data.alert = std::string(300, '\x1b');
    data.ended = "has ended at 12:34:56 with status 255";
    for (const std::size_t rows : {1, 2, 5, 6, 24, 200}) {
      for (const std::size_t columns : {1, 20, 79, 80, 300}) {
        for (const bool special : {false, true}) {
          TopState state;
          state.bars = state.is_typing = state.paused = special;
          state.filter = special ? "e" : "";
          const auto lines = render(state, data, rows, columns);
          EXPECT_EQ(lines.size(), rows);
          for (const TopLine& line : lines) {
            EXPECT_LE(display_width(line.text), columns) << line.text;
            EXPECT_EQ(line.text.find('\x1b'), std::string::npos);
          }
        }
      }
    }
  }
}

TEST(Top, ShowsTheLastIntervalOrAllSinceItWasAttached) {
  Pressed top(data_of(of_one_process()));
  EXPECT_TRUE(top.shows("last 1.00s"));
  top.keys("t");
  EXPECT_TRUE(top.shows("since attached, 2.00s"));
  top.keys("t");
  EXPECT_TRUE(top.shows("last 1.00s"));
}

TEST(Top, SortsByEachColumnInTurnAndShowsByWhich) {
  Pressed top(data_of(of_one_process()));
  const auto names = sort_names();
  EXPECT_TRUE(top.shows("by total"));
  EXPECT_TRUE(top.shows("TOTAL"));
  for (std::size_t i = 0; i < names.size(); i++) top.keys(i % 2 == 0 ? ">" : "s");
  EXPECT_TRUE(top.shows("by total")) << "round about";
  top.keys("<");
  EXPECT_TRUE(top.shows("by rate"));
  top.key(TopKey::right).key(TopKey::right);
  EXPECT_TRUE(top.shows("by p50"));
  EXPECT_TRUE(top.shows("P50"));
  top.key(TopKey::left);
  EXPECT_TRUE(top.shows("by total"));
}

TEST(Top, FiltersAtOnceByKeyOrProcess) {
  Pressed top(data_of(of_two_processes()));
  top.keys("/Disk");
  EXPECT_TRUE(top.shows("filter: Disk_"));
  EXPECT_TRUE(top.shows("disk.read"));
  EXPECT_FALSE(top.shows("db.pool.acquire"));
  top.key(TopKey::backspace).key(TopKey::backspace).key(TopKey::backspace);
  EXPECT_TRUE(top.shows("db.pool.acquire"));
  top.key(TopKey::enter).keys("q");
  EXPECT_TRUE(top.state.quit) << "after Enter keys are commands again";
  top.key(TopKey::escape);
  EXPECT_TRUE(top.shows("other"));
  top.keys("/server");
  EXPECT_TRUE(top.shows("disk.read")) << "the name of the process";
  top.keys("zzz");
  EXPECT_TRUE(top.shows("no waits of keys or processes that contain the filter"));
}

TEST(Top, FiltersByCharactersOfSeveralBytes) {
  Pressed top(data_of(snapshot({series("wide \xe6\xbc\xa2", {1}), series("other", {1})})));
  top.keys("/");
  press(top.state, top.data, TopKey::text, "\xe6\xbc\xa2", 24);
  top.draw();
  EXPECT_TRUE(top.shows("wide"));
  EXPECT_FALSE(top.shows("other"));
  top.key(TopKey::backspace);
  EXPECT_EQ(top.state.filter, "");
}

TEST(Top, KeysWhileTypingAreNoCommands) {
  Pressed top(data_of(of_one_process()));
  top.keys("/qtpb?");
  EXPECT_FALSE(top.state.quit || top.state.totals || top.state.paused || top.state.bars || top.state.help);
  EXPECT_EQ(top.state.filter, "qtpb?");
}

TEST(Top, TheSelectedRowIsFollowedWhenItChangesItsPlace) {
  Pressed top(data_of(of_one_process()));
  EXPECT_EQ(top.selected(), "db.pool.acquire");
  top.key(TopKey::down);
  EXPECT_EQ(top.selected(), "disk.read");
  top.keys("<<<");
  EXPECT_EQ(top.state.sort, "key");
  EXPECT_EQ(top.selected(), "disk.read");
  top.data = data_of(snapshot({series("a", {1}), series("b", {2})}));
  top.draw();
  EXPECT_EQ(top.selected(), "b") << "when it has gone, the one in its place";
}

TEST(Top, MovesAndScrolls) {
  Pressed top(data_of(of_many(100)));
  EXPECT_EQ(top.selected(), "key.100");
  top.key(TopKey::up);
  EXPECT_EQ(top.selected(), "key.100");
  top.key(TopKey::page_down);
  EXPECT_EQ(top.selected(), "key.119");
  EXPECT_FALSE(top.shows("key.100"));
  top.key(TopKey::end);
  EXPECT_EQ(top.selected(), "key.199");
  top.key(TopKey::down);
  EXPECT_EQ(top.selected(), "key.199");
  top.key(TopKey::page_up);
  EXPECT_EQ(top.selected(), "key.180");
  top.key(TopKey::home);
  EXPECT_EQ(top.selected(), "key.100");
}

TEST(Top, ShowsHowTheWaitsOfTheSelectedKeyAreSpread) {
  Pressed top(data_of(of_one_process()));
  top.keys("t").key(TopKey::down).key(TopKey::enter);
  EXPECT_TRUE(top.shows("disk.read"));
  EXPECT_TRUE(top.shows("30.5us .. 61.0us        2 ###"));
  EXPECT_FALSE(top.shows("db.pool.acquire"));
  top.keys("b");
  EXPECT_TRUE(top.shows("db.pool.acquire"));
}

TEST(Top, PausesAndHelpsAndQuits) {
  Pressed top(data_of(of_one_process()));
  top.keys("p");
  EXPECT_TRUE(top.shows("PAUSED"));
  top.keys(" ");
  EXPECT_FALSE(top.shows("PAUSED"));
  top.keys("?");
  EXPECT_TRUE(top.shows("select a row"));
  top.keys("q");
  EXPECT_FALSE(top.state.quit) << "the first key leaves the help";
  EXPECT_TRUE(top.shows("db.pool.acquire"));
  top.keys("q");
  EXPECT_TRUE(top.state.quit);
}

TEST(Top, KeysThatAreQuietStayOnTheScreen) {
  TopData data = data_of(of_two_processes());
  data.interval = interval(*data.total, *data_of(of_one_process()).total);
  data.interval.elapsed_ns = 1'000'000'000;
  add_quiet_series(data.interval, *data.total);
  EXPECT_EQ(data.interval.series.size(), data.total->series.size());
  EXPECT_EQ(data.interval.coverage().observed, 1U);
  expect_golden("top_quiet.txt", screen({}, data));
}

}  // namespace
}  // namespace waitprobe
