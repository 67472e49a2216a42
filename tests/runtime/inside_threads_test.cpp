// SPDX-License-Identifier: MIT
//
// A thread reads what another one is inside of, while that runs and others end its waits: it may see nothing, but never a wait that
// was not open meanwhile.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include <waitprobe/c.h>

#include "src/runtime/blocks.h"
#include "src/runtime/probes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/inside.h"

namespace {

constexpr std::size_t wait_cnt = 200'000;
constexpr int most_open = 12;

// When waits began and ended, by a clock that ticks at each of these.
class History {
 public:
  // Before the start and after the end.
  void begins(std::uint64_t number) { of(number).begun = ++clock_; }
  void has_ended(std::uint64_t number) { of(number).ended = ++clock_; }
  void started_at(std::uint64_t number, std::uint64_t start) { of(number).start = start; }

  std::uint64_t now() const { return clock_; }
  bool was_open(std::uint64_t number, std::uint64_t from, std::uint64_t to) {
    const Wait& wait = of(number);
    return wait.begun != 0 && wait.begun <= to && (wait.ended == 0 || wait.ended >= from);
  }
  bool may_have_started_at(std::uint64_t number, std::uint64_t start) {
    const std::uint64_t known = of(number).start;
    return known == 0 || known == start;
  }

 private:
  struct Wait {
    std::atomic<std::uint64_t> begun{0}, ended{0}, start{0};
  };
  Wait& of(std::uint64_t number) { return waits_.at(number & 0xfffff); }

  std::atomic<std::uint64_t> clock_{0};
  std::vector<Wait> waits_{wait_cnt + 8};
};

struct OpenWait {
  waitprobe_wait* wait;
  std::uint64_t number;
};

// Between the thread that begins waits and one that ends them.
class Handover {
 public:
  bool give(const OpenWait& open) {
    if (is_full_.load(std::memory_order_acquire)) return false;
    open_ = open;
    is_full_.store(true, std::memory_order_release);
    return true;
  }
  bool take(OpenWait& open) {
    if (!is_full_.load(std::memory_order_acquire)) return false;
    open = open_;
    is_full_.store(false, std::memory_order_release);
    return true;
  }

 private:
  OpenWait open_ = {};
  std::atomic<bool> is_full_{false};
};

class Scene {
 public:
  explicit Scene(bool end_elsewhere) : end_elsewhere_(end_elsewhere) {}

  void run() {
    std::thread owner([this] { begin_waits(); });
    std::thread first([this] { end_waits(handovers_[0]); });
    std::thread second([this] { end_waits(handovers_[1]); });
    read();
    for (read_ = true; !done_;) looks_++;  // where it has failed before the end
    owner.join();
    first.join();
    second.join();
    EXPECT_EQ(test::open_slots(), 0);
  }

 private:
  void end(const OpenWait& open) {
    waitprobe_stop(open.wait);
    history_.has_ended(open.number);
  }

  void begin_waits() {
    static waitprobe_handle handles[] = {WAITPROBE_HANDLE("inside.a"), WAITPROBE_HANDLE("inside.b")};
    waitprobe_stop(waitprobe_start(&handles[0]));
    const wp_block* block = waitprobe::detail::home_block();
    block_ = block;
    std::vector<OpenWait> own;
    for (std::size_t i = 0; i < wait_cnt; i++) {
      const std::uint64_t number = block->last_wait_id + 1;
      history_.begins(number);
      const OpenWait open = {waitprobe_start(&handles[i % 2]), number};
      history_.started_at(number, test::slot_of(open.wait)->start);
      if (!end_elsewhere_ || i % 3 == 0 || !handovers_[i % 2].give(open)) own.push_back(open);
      if (i % 1000 == 0) let_reader_look();
      while (own.size() > i * 7 % most_open) {
        const std::size_t at = i % 5 == 0 ? i % own.size() : own.size() - 1;
        end(own[at]);
        own.erase(own.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    for (const OpenWait& open : own) end(open);
    done_ = true;
    while (!read_) std::this_thread::yield();  // the block is this thread's until then
  }

  void let_reader_look() const {
    const std::uint64_t before = looks_;
    while (looks_ == before) std::this_thread::yield();
  }

  void end_waits(Handover& handover) {
    OpenWait open;
    for (bool last = false; !last;) {
      last = done_;
      while (handover.take(open)) end(open);
    }
  }

  void read() {
    const wp_block* block = nullptr;
    while ((block = block_) == nullptr) std::this_thread::yield();
    std::uint64_t seen_cnt = 0;
    for (; !done_; looks_++) {
      const std::uint64_t from = history_.now();
      const wp_inside seen = test::read_inside(*block), again = test::read_inside(*block);
      const bool is_same = seen.counter == again.counter && seen.wait_id == again.wait_id && seen.start == again.start &&
                           seen.innermost == again.innermost && seen.elsewhere == again.elsewhere;
      if (is_same && seen.counter != 0 &&
          (seen.elsewhere == 0 || test::look(block->open[seen.innermost - 1].wait_id) == seen.wait_id)) {
        seen_cnt++;
        ASSERT_TRUE(history_.was_open(seen.wait_id, from, history_.now())) << seen.wait_id;
        ASSERT_TRUE(history_.may_have_started_at(seen.wait_id, seen.start)) << seen.wait_id;
      }
      const std::uint64_t before_walk = history_.now();
      for (const std::uint64_t wait_id : test::listed_waits(*block)) {
        ASSERT_TRUE(wait_id == 0 || history_.was_open(wait_id, before_walk, history_.now())) << wait_id;
      }
    }
    EXPECT_GT(seen_cnt, 0U);
    EXPECT_EQ(test::look(block->inside.elsewhere) != 0, end_elsewhere_);
  }

  const bool end_elsewhere_;
  History history_;
  Handover handovers_[2];
  std::atomic<const wp_block*> block_{nullptr};
  std::atomic<std::uint64_t> looks_{0};
  std::atomic<bool> done_{false}, read_{false};
};

void expect_no_reader_is_deceived(bool end_elsewhere) {
  __atomic_store_n(&waitprobe_root.armed.batch, std::uint16_t{1}, __ATOMIC_RELEASE);
  Scene(end_elsewhere).run();
}

}  // namespace

TEST(InsideThreads, shows_a_running_reader_only_waits_that_are_open) { expect_no_reader_is_deceived(false); }

TEST(InsideThreads, shows_a_running_reader_only_waits_that_are_open_while_others_end_them) {
  expect_no_reader_is_deceived(true);
}
