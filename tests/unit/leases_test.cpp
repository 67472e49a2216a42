// SPDX-License-Identifier: MIT
//
// The order in which the tool gives a histogram back (bpf/leases.h): BPF programs that find, lease and use histograms, and the
// tool that takes them away at any time, as state machines whose steps are the single accesses to shared memory. Every
// interleaving is run, with places that are reused at once.
#include <gtest/gtest.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr std::int8_t none = -1;
constexpr int series_cnt = 2, place_cnt = 2, block_cnt = 2, program_cnt = 3, rounds = 2;
constexpr std::array<std::int8_t, program_cnt> series_of = {0, 0, 1}, block_of = {0, 0, 1}, runs_of = {2, 1, 2};

// What makes it safe; each alone can be left out.
struct Rules {
  bool waits_after_deleting = true;  // for those that may yet put the place into a cache
  bool raises_epoch = true;
  bool waits_after_raising = true;  // for those that have it from a cache
  bool compares_owner = true;       // of the place that an entry leads to, which may be another's by now
};

enum class At : std::uint8_t { idle, epoch, clear, renewed, cache, find, read, compare, lease, describe, insert, keep, add };
enum class ToolAt : std::uint8_t { choose, wait, raise, wait_again, take, done };

struct Program {
  At at = At::idle;
  std::int8_t runs = 0, epoch = 0, entry = none, place = none, tries = 0;
  auto operator<=>(const Program&) const = default;
};
struct Entry {  // of the hash table; it is used again as soon as it is deleted
  std::int8_t series = none, place = none;
  auto operator<=>(const Entry&) const = default;
};
struct Block {
  std::int8_t epoch = 0, cached = none;
  auto operator<=>(const Block&) const = default;
};

struct State {
  std::array<Entry, series_cnt> entries;
  std::array<std::int8_t, place_cnt> owner;                            // series, as the place says
  std::array<std::array<std::int8_t, series_cnt>, place_cnt> waits{};  // in the place, of whom they are
  std::vector<std::int8_t> free;
  std::array<Block, block_cnt> blocks;
  std::array<Program, program_cnt> programs;
  std::array<std::int8_t, series_cnt> folded{};
  std::int8_t epoch = 0, full = 0;
  ToolAt tool = ToolAt::choose;
  std::int8_t ending = none, tool_rounds = 0;
  std::uint8_t running = 0;  // programs that the tool waits for
  auto operator<=>(const State&) const = default;
};

class Explorer {
 public:
  explicit Explorer(Rules rules) : rules_(rules) {}

  // What is wrong with one of the interleavings, if anything is.
  std::optional<std::string> explore() {
    State start;
    start.owner.fill(none);
    for (std::int8_t place = 0; place < place_cnt; place++) start.free.push_back(place);
    for (int i = 0; i < program_cnt; i++) start.programs[i].runs = runs_of[i];
    to_do_ = {start};
    while (!to_do_.empty() && !bad_) {
      State state = std::move(to_do_.back());
      to_do_.pop_back();
      if (!seen_.insert(state).second) continue;
      bool has_moved = false;
      for (int i = 0; i < program_cnt; i++) {
        if (state.programs[i].runs == 0) continue;
        State next = state;
        step(next, i);
        to_do_.push_back(std::move(next));
        has_moved = true;
      }
      has_moved |= step_tool(state);
      if (!has_moved) judge(state);
    }
    return bad_;
  }
  std::size_t state_cnt() const { return seen_.size(); }

 private:
  static std::int8_t entry_of(const State& s, std::int8_t series) {
    for (std::int8_t i = 0; i < series_cnt; i++) {
      if (s.entries[i].series == series) return i;
    }
    return none;
  }
  static bool leads_to(const State& s, std::int8_t place) {
    const std::int8_t entry = s.owner[place] != none ? entry_of(s, s.owner[place]) : none;
    return entry != none && s.entries[entry].place == place;
  }

  static void end_run(State& s, int i) {
    const std::int8_t runs = s.programs[i].runs - 1;
    s.programs[i] = {};
    s.programs[i].runs = runs;
    s.running &= static_cast<std::uint8_t>(~(1U << i));
  }

  void step(State& s, int i) const {
    Program& p = s.programs[i];
    Block& block = s.blocks[block_of[i]];
    const std::int8_t series = series_of[i];
    switch (p.at) {
      case At::idle:
        p.at = At::epoch;
        break;
      case At::epoch:
        p.epoch = s.epoch;
        p.at = block.epoch != p.epoch ? At::clear : At::cache;
        break;
      case At::clear:
        block.cached = none;
        p.at = At::renewed;
        break;
      case At::renewed:
        block.epoch = p.epoch;
        p.at = At::cache;
        break;
      case At::cache:
        p.place = block.cached;
        p.at = p.place != none ? At::add : At::find;
        break;
      case At::find:
        p.entry = entry_of(s, series);
        p.at = p.entry == none ? At::lease : At::read;
        break;
      case At::read:
        p.place = s.entries[p.entry].place;
        p.at = p.place == none ? At::find : At::compare;
        break;
      case At::compare:
        p.at = !rules_.compares_owner || s.owner[p.place] == series ? At::keep : p.tries++ == 0 ? At::find : At::lease;
        break;
      case At::lease:
        if (s.free.empty()) {
          s.full++;
          return end_run(s, i);
        }
        p.place = s.free.front();
        s.free.erase(s.free.begin());
        p.at = At::describe;
        break;
      case At::describe:
        s.owner[p.place] = series;
        p.at = At::insert;
        break;
      case At::insert:
        p.at = At::find;
        if (entry_of(s, series) != none) break;  // another was faster: the place is the tool's to find
        s.entries[entry_of(s, none)] = {series, p.place};
        p.at = At::keep;
        break;
      case At::keep:
        block.cached = p.place;
        p.at = At::add;
        break;
      case At::add:
        s.waits[p.place][series]++;
        return end_run(s, i);
    }
  }

  static std::uint8_t running(const State& s) {
    std::uint8_t mask = 0;
    for (int i = 0; i < program_cnt; i++) mask |= static_cast<std::uint8_t>((s.programs[i].at != At::idle ? 1U : 0U) << i);
    return mask;
  }

  bool step_tool(const State& state) {
    if (state.tool == ToolAt::choose) {
      State next = state;
      next.tool = ToolAt::done;  // it may also leave them all
      to_do_.push_back(next);
      for (std::int8_t place = 0; place < place_cnt; place++) choose(state, place);
      return true;
    }
    State s = state;
    switch (state.tool) {
      case ToolAt::wait:
        if (rules_.waits_after_deleting && s.running != 0) return false;
        s.tool = leads_to(s, s.ending) ? ToolAt::choose : ToolAt::raise;  // its program was still at work
        break;
      case ToolAt::raise:
        if (rules_.raises_epoch) s.epoch++;
        s.running = running(s);
        s.tool = ToolAt::wait_again;
        break;
      case ToolAt::wait_again:
        if (rules_.waits_after_raising && s.running != 0) return false;
        s.tool = ToolAt::take;
        break;
      case ToolAt::take:
        take(s);
        break;
      default:
        return false;
    }
    to_do_.push_back(s);
    return true;
  }

  void choose(const State& state, std::int8_t place) {
    for (const std::int8_t free : state.free) {
      if (free == place) return;
    }
    if (state.tool_rounds == rounds) return;
    State s = state;
    s.tool_rounds++;
    s.ending = place;
    if (leads_to(s, place)) s.entries[entry_of(s, s.owner[place])] = {};
    s.running = running(s);
    s.tool = ToolAt::wait;
    to_do_.push_back(s);
  }

  void take(State& s) {
    for (std::int8_t series = 0; series < series_cnt; series++) {
      if (s.waits[s.ending][series] != 0 && s.owner[s.ending] != series) bad_ = "a wait was counted as another's";
      s.folded[series] = static_cast<std::int8_t>(s.folded[series] + s.waits[s.ending][series]);
      s.waits[s.ending][series] = 0;
    }
    s.free.push_back(s.ending);
    s.ending = none;
    s.tool = ToolAt::choose;
  }

  void judge(const State& s) {
    int all = s.full;
    for (std::int8_t series = 0; series < series_cnt; series++) {
      all += s.folded[series];
      for (std::int8_t place = 0; place < place_cnt; place++) {
        if (s.waits[place][series] != 0 && s.owner[place] != series) bad_ = "a wait was counted as another's";
        all += s.waits[place][series];
      }
    }
    int expected = 0;
    for (const std::int8_t runs : runs_of) expected += runs;
    if (all != expected) bad_ = "a wait is missing";
  }

  Rules rules_;
  std::vector<State> to_do_;
  std::set<State> seen_;
  std::optional<std::string> bad_;
};

TEST(Leases, GiveHistogramsBackWithoutLosingAWaitInEveryInterleaving) {
  Explorer explorer({});
  EXPECT_EQ(explorer.explore(), std::nullopt);
  EXPECT_GT(explorer.state_cnt(), 100'000U) << "the model has become so small that it shows nothing";
}

TEST(Leases, WouldCountWaitsAsAnothersIfTheToolDidNotWaitForThoseThatFillCaches) {
  EXPECT_EQ(Explorer({.waits_after_deleting = false}).explore(), "a wait was counted as another's");
}

TEST(Leases, WouldCountWaitsAsAnothersIfCachesWereNotEmptied) {
  EXPECT_EQ(Explorer({.raises_epoch = false}).explore(), "a wait was counted as another's");
}

TEST(Leases, WouldCountWaitsAsAnothersIfTheToolDidNotWaitForThoseThatUseCaches) {
  EXPECT_EQ(Explorer({.waits_after_raising = false}).explore(), "a wait was counted as another's");
}

TEST(Leases, WouldCountWaitsAsAnothersIfAnEntryWereBelievedThatIsAnothersByNow) {
  EXPECT_EQ(Explorer({.compares_owner = false}).explore(), "a wait was counted as another's");
}

}  // namespace
