// SPDX-License-Identifier: MIT
//
// What `slow` prints.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <sstream>

#include "src/view/json.h"
#include "src/view/slow_lines.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

class Slow : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

std::vector<SlowWait> nasty_waits() {
  std::vector<SlowWait> waits;
  for (const std::string& key : nasty_keys()) {
    waits.push_back(slow_wait(key, 7'000'000));
    waits.back().comm = "\x1b]0;evil\x07";
    waits.back().thread = std::string(15, '\n');
  }
  waits.back().stack = nasty_stack();
  return waits;
}

std::string lines(const std::vector<SlowWait>& waits, const SlowOptions& options = {}) {
  std::ostringstream out;
  print_slow_header(out, waits.front().time_unix_ns, options);
  for (const SlowWait& wait : waits) print_slow(out, wait, options);
  return out.str();
}

std::string summary_text(const SlowSummary& summary) {
  std::ostringstream out;
  print_slow_summary(out, summary);
  return out.str();
}

TEST_F(Slow, AWaitAndItsStack) {
  SlowWait with_stack = slow_wait("cache.lock", 12'300'000);
  with_stack.stack = stack();
  expect_golden("slow.txt", lines({with_stack, slow_wait("db.pool.acquire", 999)}));
}

TEST_F(Slow, NastyKeysNamesAndFrames) { expect_golden("slow_nasty.txt", lines(nasty_waits())); }

TEST_F(Slow, FitsItsTerminalWhateverTheFigures) {
  SlowWait most = slow_wait(std::string(10'000, '\n'), UINT64_MAX);
  most.pid = most.tid = UINT32_MAX;
  most.time_unix_ns = UINT64_MAX;
  EXPECT_EQ(lines({most}).find("\n\n"), std::string::npos);
  for (const std::size_t width : {80, 81, 200}) {
    std::istringstream printed(lines({most}, {.width = width}));
    for (std::string line; std::getline(printed, line);) EXPECT_LE(display_width(line), width + 6) << line;
  }
}

TEST_F(Slow, ColoursChangeNothingElse) {
  SlowWait wait = slow_wait("cache.lock", 12'300'000);
  wait.stack = stack();
  std::string coloured = lines({wait}, {.colours = Colours::yes});
  EXPECT_NE(coloured, lines({wait}));
  for (const char* sequence : {"\033[1m", "\033[2m", "\033[0m"}) {
    for (std::size_t at; (at = coloured.find(sequence)) != std::string::npos;) coloured.erase(at, 4);
  }
  EXPECT_EQ(coloured, lines({wait}));
}

TEST_F(Slow, JsonOfNastyKeys) {
  std::ostringstream out;
  for (const SlowWait& wait : nasty_waits()) print_json(out, wait);
  expect_golden("slow_nasty.json", out.str());
}

TEST_F(Slow, SummaryTellsOfEveryLoss) {
  SlowSummary summary;
  summary.elapsed_ns = 12'300'000'000;
  summary.min_ns = 5'000'000;
  EXPECT_EQ(summary_text(summary), "No waits of 5.00ms or more were seen in 12.3s\n");
  summary.left_out_cnt = 7;
  EXPECT_EQ(summary_text(summary),
            "No waits of 5.00ms or more of these keys were seen in 12.3s\n  not shown: 7 of other keys\n");
  summary.shown_cnt = 1;
  summary.losses = with_losses().losses;
  summary.caveats.attached_late = with_losses().caveats.attached_late;
  expect_golden("slow_summary.txt", summary_text(summary));
}

}  // namespace
}  // namespace waitprobe
