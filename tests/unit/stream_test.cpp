// SPDX-License-Identifier: MIT
//
// Views print the same to any stream, and leave it as it was.
#include <gtest/gtest.h>

#include <functional>
#include <iomanip>
#include <locale>
#include <sstream>

#include "src/view/hist_table.h"
#include "src/view/inventory.h"
#include "src/view/json.h"
#include "src/view/slow_lines.h"
#include "src/view/stuck_table.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

struct Grouping : std::numpunct<char> {
  char do_thousands_sep() const override { return ','; }
  std::string do_grouping() const override { return "\1"; }
};

// As somebody may have left it: numbers in another base, with signs, in groups.
std::ostringstream unruly() {
  std::ostringstream out;
  out.imbue(std::locale(std::locale::classic(), new Grouping));
  out << std::hex << std::showbase << std::showpos << std::uppercase << std::setfill('*') << std::setprecision(13);
  return out;
}

std::string numbers(std::ostringstream& out) {
  out.str("");
  out << 4'096'000 << ' ' << 1.0 / 3 << ' ' << std::setw(9) << 1;
  return out.str();
}

void expect_same_on_any_stream(const std::function<void(std::ostream&)>& print) {
  std::ostringstream plain, out = unruly(), untouched = unruly();
  print(plain);
  print(out);
  EXPECT_EQ(out.str(), plain.str());
  EXPECT_EQ(numbers(out), numbers(untouched));
}

TEST(Stream, IsLeftAsItWasByEveryView) {
  const Snapshot s = of_extremes();
  Inventory i = inventory();
  i.unseen.process_cnt = 1'234;
  i.carriers[0].keys->resize(1'250, "key");
  expect_same_on_any_stream([&](std::ostream& out) { print_hist(out, s, {.bars = true}); });
  expect_same_on_any_stream([&](std::ostream& out) { print_json(out, s); });
  expect_same_on_any_stream([&](std::ostream& out) { print_inventory(out, i, 80, Colours::no); });
  expect_same_on_any_stream([&](std::ostream& out) { print_json(out, i); });

  SlowWait wait = slow_wait("k", 1'234'567'890);
  wait.stack = stack();
  SlowSummary summary;
  summary.losses = s.losses;
  summary.shown_cnt = summary.left_out_cnt = 1'234'567;
  expect_same_on_any_stream([&](std::ostream& out) { print_slow(out, wait, {}); });
  expect_same_on_any_stream([&](std::ostream& out) { print_json(out, wait); });
  expect_same_on_any_stream([&](std::ostream& out) { print_slow_summary(out, summary); });
  expect_same_on_any_stream([&](std::ostream& out) { print_json(out, summary); });

  OpenWaits found = open_waits();
  found.waits.resize(1'234, found.waits[1]);
  found.younger_cnt = 1'234'567;
  expect_same_on_any_stream([&](std::ostream& out) { print_stuck(out, found, {}); });
  expect_same_on_any_stream([&](std::ostream& out) { print_json(out, found); });
}

}  // namespace
}  // namespace waitprobe
