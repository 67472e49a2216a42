// SPDX-License-Identifier: MIT
//
// Classes of keys: what is made of several, and how views show them.
#include "src/model/key_class.h"

#include <gtest/gtest.h>

#include <sstream>

#include "bpf/abi.h"
#include "src/model/comparison.h"
#include "src/model/groups.h"
#include "src/view/comparison_lines.h"
#include "src/view/escape.h"
#include "src/view/hist_table.h"
#include "src/view/json.h"
#include "src/view/key_text.h"
#include "src/view/page.h"
#include "src/view/slow_lines.h"
#include "src/view/top_screen.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

Series of_class(KeyClass key_class, Series s) {
  s.key_class = key_class;
  return s;
}

// Idle ones wait longest, as they do.
Snapshot of_three_classes() {
  return snapshot({of_class(KeyClass::idle, series("worker.queue.of.a.pool.with.a.long.name", {9'000'000'000, 8'000'000'000})),
                   series("db.query", {1'200'000}), of_class(KeyClass::work, series("model.compile", {400'000'000})),
                   series("db.pool.acquire", {2'000'000}), of_class(KeyClass::idle, series("accept", {9'500'000'000}, 18))});
}

std::string table(const Snapshot& s, const TableOptions& options = {}) {
  std::ostringstream out;
  print_hist(out, s, options);
  return out.str();
}

TEST(KeyClass, OfFlagsThatMayBeAny) {
  EXPECT_EQ(class_of_flags(WP_CLASS_WAIT), KeyClass::wait);
  EXPECT_EQ(class_of_flags(WP_CLASS_IDLE), KeyClass::idle);
  EXPECT_EQ(class_of_flags(WP_CLASS_WORK), KeyClass::work);
  EXPECT_EQ(class_of_flags(WP_CLASS_IDLE | 0xfffffff0U), KeyClass::idle);
  EXPECT_EQ(class_of_flags(UINT32_MAX), KeyClass::wait);
}

TEST(KeyClass, HasAName) {
  for (const KeyClass one : {KeyClass::wait, KeyClass::idle, KeyClass::work}) EXPECT_EQ(class_named(name_of(one)), one);
  EXPECT_EQ(class_named("nap"), std::nullopt);
}

TEST(KeyClass, OfTheUserComesBeforeThatOfTheProgram) {
  const ClassGlobs globs = {{"*.queue"}, {"*.queue", "gc.*"}};
  EXPECT_EQ(class_of("worker.queue", KeyClass::work, globs), KeyClass::idle) << "what matches both is idle";
  EXPECT_EQ(class_of("gc.mark", KeyClass::idle, globs), KeyClass::work);
  EXPECT_EQ(class_of("db.query", KeyClass::idle, globs), KeyClass::idle);
  EXPECT_EQ(class_of("db.query", KeyClass::wait, {}), KeyClass::wait);
}

TEST(KeyClass, IsThatOnWhichAllAgree) {
  Snapshot s = snapshot({of_class(KeyClass::idle, series("a", {1}, 1)), of_class(KeyClass::idle, series("a", {1}, 1)),
                         of_class(KeyClass::idle, series("b", {1}, 1)), series("b", {1}, 1),
                         of_class(KeyClass::idle, series("a", {1}, 2)), of_class(KeyClass::work, series("b", {1}, 2))});
  merge_series(s.series);
  ASSERT_EQ(s.series.size(), 4U);
  EXPECT_EQ(s.series[0].key_class, KeyClass::idle);
  EXPECT_EQ(s.series[1].key_class, KeyClass::wait) << "two instances in a process disagree";
  EXPECT_EQ(s.series[3].key_class, KeyClass::work);
  const auto keys = by_key_and_group(s.series);
  EXPECT_EQ(keys[0].all.key_class, KeyClass::idle);
  EXPECT_EQ(keys[1].all.key_class, KeyClass::wait);
  add_up_processes(s.series);
  EXPECT_EQ(s.series[0].key_class, KeyClass::idle);
  EXPECT_EQ(s.series[1].key_class, KeyClass::wait) << "two processes disagree";
}

TEST(KeyClass, IsSetInSnapshotsByPatterns) {
  Snapshot s = of_three_classes();
  classify(s, {{"db.*"}, {"accept"}});
  EXPECT_EQ(s.series[1].key_class, KeyClass::idle);
  EXPECT_EQ(s.series[4].key_class, KeyClass::work);
  EXPECT_EQ(s.series[2].key_class, KeyClass::work) << "as it was";
}

TEST(KeyClass, InATable) {
  expect_golden("table_classes.txt", table(of_three_classes(), {.bars = true}));
  const std::string by_key = table(of_three_classes(), {.sort = "key"});
  EXPECT_LT(by_key.find("db.query"), by_key.find("worker.queue"));
}

TEST(KeyClass, InGroups) {
  Snapshot s = of_three_classes();
  s.group_by = "RANK";
  for (Series& one : s.series) one.group = std::to_string(one.pid);
  for (const Series& one : of_three_classes().series) {  // and so that there is a spread
    s.series.push_back(one);
    s.series.back().group = "0";
  }
  expect_golden("table_groups_classes.txt", table(s));
}

TEST(KeyClass, OnTheScreenOfTop) {
  TopData data;
  data.target = "server";
  data.interval = of_three_classes();
  data.total = std::make_shared<const Snapshot>(of_three_classes());
  TopState state;
  std::string text;  // dim lines are marked
  for (const TopLine& line : render(state, data, 12, 78)) text += line.text + (line.style == TopStyle::dim ? " *\n" : "\n");
  expect_golden("top_classes.txt", text);
}

TEST(KeyClass, InJson) {
  std::ostringstream out;
  print_json(out, of_three_classes());
  EXPECT_NE(out.str().find(R"("key":"db.query","class":"wait",)"), std::string::npos);
  EXPECT_NE(out.str().find(R"("key":"accept","class":"idle",)"), std::string::npos);
  EXPECT_NE(out.str().find(R"("key":"model.compile","class":"work",)"), std::string::npos);
}

TEST(KeyClass, OfASlowWait) {
  SlowWait wait = slow_wait("worker.queue", 2'000'000'000);
  wait.key_class = KeyClass::idle;
  std::ostringstream line, json;
  print_slow(line, wait, {});
  print_json(json, wait);
  EXPECT_NE(line.str().find(" worker.queue [idle] "), std::string::npos) << line.str();
  EXPECT_NE(json.str().find(R"("class":"idle")"), std::string::npos);
}

History history_of(const Snapshot& total) {
  History history = begin_history(total);
  for (int i = 0; i < 20; i++) add_column(history, total);
  return history;
}

TEST(KeyClass, OnAPage) {
  std::ostringstream out;
  print_page(out, history_of(of_three_classes()), {{}, "total"});
  const std::string page = out.str();
  EXPECT_LT(page.find(">db.query</a></th>"), page.find(">accept</a> <span class=\"mark\">idle</span></th>"));
  EXPECT_NE(page.find("<tr data-class=\"1\">"), std::string::npos);
  EXPECT_NE(page.find("<h2>model.compile <span class=\"mark\">work</span></h2>"), std::string::npos);
}

TEST(KeyClass, InAComparison) {
  const Snapshot before = snapshot({series("new.name.of.queue", {9}), series("db.query", {5})});
  Snapshot after = of_three_classes();
  after.series.push_back(of_class(KeyClass::idle, series("new.name.of.queue", {9})));
  const Comparison comparison = compare(history_of(before), history_of(after));
  ASSERT_EQ(comparison.keys.size(), 6U);
  EXPECT_EQ(comparison.keys.back().key, "model.compile") << "waits, idle, work";
  for (const ComparedKey& key : comparison.keys) {
    if (key.key == "new.name.of.queue") {
      EXPECT_EQ(key.key_class, KeyClass::wait) << "only one side says that it is idle";
    } else if (key.key == "accept") {
      EXPECT_EQ(key.key_class, KeyClass::idle) << "only one side has it";
    }
  }
  std::ostringstream out, json;
  print_comparison(out, comparison, {{"a"}, {"b"}, 80, Colours::no});
  EXPECT_NE(out.str().find("\naccept [idle] "), std::string::npos) << out.str();
  print_json(json, comparison);
  EXPECT_NE(json.str().find(R"("key":"accept","class":"idle",)"), std::string::npos);
}

TEST(KeyText, KeepsTheMarkWhereTheKeyIsCut) {
  const KeyText text("worker.queue", 12, KeyClass::idle);
  EXPECT_EQ(text.whole(), "worker.queue [idle]");
  EXPECT_EQ(text.width(), 19U);
  EXPECT_EQ(text.padded(21), "worker.queue [idle]  ");
  EXPECT_EQ(text.shortened(14), "wor…eue [idle]");
  EXPECT_EQ(display_width(text.padded(14)), 14U);
  EXPECT_EQ(text.padded_in(14, unlimited_width), "worker.queue [idle]");
  EXPECT_EQ(KeyText("worker.queue", 12, KeyClass::wait).whole(), "worker.queue");
  for (const std::string& key : nasty_keys()) {
    EXPECT_EQ(display_width(KeyText(key, key.size(), KeyClass::work).padded(20)), 20U);
  }
}

}  // namespace
}  // namespace waitprobe
