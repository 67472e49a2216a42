// SPDX-License-Identifier: MIT
//
// What `stuck` prints, and how open waits are read.
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "src/collect/process/open_slots.h"
#include "src/view/json.h"
#include "src/view/stuck_table.h"
#include "tests/unit/fake_memory.h"
#include "tests/unit/golden.h"
#include "tests/unit/samples.h"

namespace waitprobe {
namespace {

std::string table(const OpenWaits& found, const StuckTableOptions& options = {}) {
  std::ostringstream out;
  print_stuck(out, found, options);
  return out.str();
}

std::string json_text(const OpenWaits& found) {
  std::ostringstream out;
  print_json(out, found);
  return out.str();
}

TEST(Stuck, ForPeople) { expect_golden("stuck.txt", table(open_waits())); }
TEST(Stuck, NastyKeysNamesAndFrames) { expect_golden("stuck_nasty.txt", table(nasty_open_waits())); }
TEST(Stuck, ForPrograms) { expect_golden("stuck.json", json_text(open_waits())); }
TEST(Stuck, NastyKeysForPrograms) { expect_golden("stuck_nasty.json", json_text(nasty_open_waits())); }

TEST(Stuck, Groups) { expect_golden("stuck_groups.txt", table(open_waits_of_ranks())); }
TEST(Stuck, GroupsForPrograms) { expect_golden("stuck_groups.json", json_text(open_waits_of_ranks())); }

TEST(Stuck, Locks) { expect_golden("stuck_locks.txt", table(open_waits_for_locks())); }
TEST(Stuck, LocksForPrograms) { expect_golden("stuck_locks.json", json_text(open_waits_for_locks())); }

TEST(Stuck, ManyThatSleepWithoutAGuardAreCutShort) {
  OpenWaits found = open_waits_for_locks();
  found.sleepers.resize(30, found.sleepers[0]);
  EXPECT_NE(table(found).find("\n  and 20 more; --json shows all\n"), std::string::npos) << table(found);
}

TEST(Stuck, Nothing) {
  OpenWaits nothing;
  nothing.older_ns = 1'000'000'000;
  EXPECT_EQ(table(nothing), "No wait is open for 1.00s or more\n");
  nothing.is_of_some_keys = true;
  EXPECT_EQ(table(nothing), "No wait of these keys is open for 1.00s or more\n");
}

TEST(Stuck, NothingButWhatIsIdle) {
  OpenWaits idle = open_waits();
  std::erase_if(idle.waits, [](const OpenWait& wait) { return wait.lasting == Lasting::no; });
  const std::string text = table(idle);
  EXPECT_TRUE(text.starts_with("idle, as the program says:\n   age key ")) << text;
  EXPECT_NE(text.find("\n\nNo other wait"), std::string::npos) << text;
}

TEST(Stuck, ADumpOfUnknownAge) {
  OpenWaits found;
  found.core_file = "core.17";
  found.ages_are_known = false;
  found.waits = {open_wait("account.lock", std::nullopt)};
  found.waits[0].thread = found.waits[0].wchan = found.waits[0].system_call = "";
  found.waits[0].state = 0;
  expect_golden("stuck_core.txt", table(found));
  EXPECT_NE(json_text(found).find("\"age_ns\":null"), std::string::npos);
}

TEST(Stuck, OneWhoseAgeIsUnknown) {
  OpenWaits found;
  found.waits = {open_wait("account.lock", 1'000'000'000), open_wait("account.lock", std::nullopt)};
  EXPECT_NE(table(found).find("\nage unknown (?): 1 (time namespace offset"), std::string::npos);
  found.waits.pop_back();
  EXPECT_EQ(table(found).find("age unknown"), std::string::npos);
}

TEST(Stuck, ManyThatAreMeantToLastAreCutShort) {
  OpenWaits found = open_waits();
  found.waits.resize(100, found.waits[1]);
  EXPECT_NE(table(found).find("and 84 more; --json shows all"), std::string::npos) << table(found);
}

TEST(Stuck, NamesAreWholeWhereKeysAreShort) {
  OpenWaits found = open_waits();
  found.waits.resize(1);
  found.waits[0].key = "a.key";
  found.waits[0].key_len = 5;
  found.waits[0].comm = "waitprobe-story";
  EXPECT_NE(table(found).find(" waitprobe-story "), std::string::npos) << table(found);
}

TEST(Stuck, ColoursChangeNothingElse) {
  std::string coloured = table(open_waits(), {.colours = Colours::yes});
  EXPECT_NE(coloured, table(open_waits()));
  for (const std::string sequence : {"\033[1m", "\033[2m", "\033[31m", "\033[0m"}) {
    for (std::size_t at; (at = coloured.find(sequence)) != std::string::npos;) coloured.erase(at, sequence.size());
  }
  EXPECT_EQ(coloured, table(open_waits()));
}

// A process with two blocks that goes on while it is read.
class OpenSlots : public testing::Test {
 protected:
  static constexpr std::uint64_t blocks_at = 0x10000;

  OpenSlots() {
    root_.chunks[0] = blocks_at;
    arena_.incarnation = 77;
    arena_.block_cnt = 2;
    for (wp_block& block : blocks_) {
      block.incarnation = arena_.incarnation;
      block.owner_tid = 5;
    }
    memory_.map(blocks_at, blocks_.data(), blocks_.size() * sizeof(wp_block));
  }

  // As the first wait of a block that has never been used.
  void begin_first(std::size_t block) {
    begin(block, 0, std::uint64_t{block + 1} << 44 | 1);
    blocks_[block].last_wait_id = blocks_[block].open[0].wait_id;
  }

  std::vector<bool> are_first() {
    std::vector<bool> found;
    for (const OpenSlot& slot : read_open_slots(memory_, root_, arena_).slots) found.push_back(slot.is_first);
    return found;
  }

  void begin(std::size_t block, std::size_t slot, std::uint64_t wait_id) {
    wp_open_wait& wait = blocks_[block].open[slot];
    wait.wait_id = wait_id;
    wait.counter = 0x4000 | WP_REF_CYCLES | std::uint64_t{3} << WP_REF_ID_SHIFT;
    wait.start = 1'000 + wait_id;
  }

  std::vector<std::uint64_t> ids() {
    std::vector<std::uint64_t> found;
    for (const OpenSlot& slot : read_open_slots(memory_, root_, arena_).slots) found.push_back(slot.wait_id);
    return found;
  }

  wp_root root_ = {};
  wp_arena arena_ = {};
  std::vector<wp_block> blocks_ = std::vector<wp_block>(2);
  test::FakeMemory memory_;
};

TEST_F(OpenSlots, AreReadFromTheFirstToTheLast) {
  begin(0, 0, 1);
  begin(0, WP_BLOCK_SLOTS - 1, 2);
  begin(1, 7, 3);
  EXPECT_EQ(ids(), (std::vector<std::uint64_t>{1, 2, 3}));
  const OpenSlot slot = read_open_slots(memory_, root_, arena_).slots[0];
  EXPECT_EQ(slot.owner_tid, 5U);
  EXPECT_EQ(slot.counter, 0x4000U);
  EXPECT_EQ(slot.start, 1'001U);
  EXPECT_TRUE(slot.is_cycles);
}

TEST_F(OpenSlots, ThatAreFreeOrBeingFilledAreNone) {
  begin(0, 0, 0);
  begin(0, 1, 1);
  blocks_[0].open[1].counter = 0;
  EXPECT_EQ(ids(), std::vector<std::uint64_t>{});
}

TEST_F(OpenSlots, OfAnotherIncarnationAreNone) {
  begin(0, 0, 1);
  begin(1, 0, 2);
  blocks_[0].incarnation = 78;
  EXPECT_EQ(ids(), std::vector<std::uint64_t>{2});
}

TEST_F(OpenSlots, ThatHaveEndedWhileTheyWereReadAreNone) {
  begin(0, 0, 1);
  begin(0, 1, 2);
  begin(0, 2, 3);
  memory_.before_read = [this](std::uint64_t) {
    if (memory_.reads != 2) return;
    blocks_[0].open[0].wait_id = 0;
    blocks_[0].open[1].wait_id = 9;  // another has taken its place
  };
  EXPECT_EQ(ids(), std::vector<std::uint64_t>{3});
}

TEST_F(OpenSlots, AreNotLookedForBeyondWhatCanBeRead) {
  begin(1, 0, 1);
  arena_.block_cnt = UINT64_MAX;
  for (auto& chunk : root_.chunks) chunk = blocks_at;
  EXPECT_EQ(ids(), std::vector<std::uint64_t>{1});
  EXPECT_LT(memory_.reads, 10);
}

TEST_F(OpenSlots, AreTheFirstOfABlockUnlessItHasHadOthers) {
  begin_first(0);
  begin_first(1);
  EXPECT_EQ(are_first(), (std::vector<bool>{true, true}));
  blocks_[0].last_wait_id++;
  EXPECT_EQ(are_first(), (std::vector<bool>{false, true})) << "another wait has ended, or is nested";
  blocks_[1].written = 1;
  EXPECT_EQ(are_first(), (std::vector<bool>{false, false})) << "its thread has ended a wait that another began";
}

TEST_F(OpenSlots, AreReadWithTheOwnersOfAllBlocks) {
  begin(0, 0, 1);
  blocks_[1].owner_tid = 6;
  EXPECT_EQ(read_open_slots(memory_, root_, arena_).owners, (std::vector<std::uint32_t>{5, 6}));
  blocks_[1].owner_tid = 0;
  EXPECT_EQ(read_open_slots(memory_, root_, arena_).owners, std::vector<std::uint32_t>{5});
}

TEST(SlotClock, LeavesNanosecondsAsTheyAreAndFindsTicks) {
  const ClockPair before = read_clocks();
  const SlotClock clock = SlotClock::measure();
  OpenSlot slot;
  slot.start = 12'345;
  EXPECT_EQ(clock.start_ns(slot, 0), 12'345U);
  EXPECT_EQ(clock.start_ns(slot, 345), 12'000U) << "its clock is ahead of ours";
  EXPECT_EQ(clock.start_ns(slot, std::nullopt), std::nullopt);
  if (before.ns == 0) GTEST_SKIP() << "this machine has no cycle counter that may be read";
  slot.is_cycles = true;
  slot.start = before.cycles;
  EXPECT_NEAR(static_cast<double>(clock.start_ns(slot, std::nullopt).value()), static_cast<double>(before.ns), 1e5);
}

}  // namespace
}  // namespace waitprobe
