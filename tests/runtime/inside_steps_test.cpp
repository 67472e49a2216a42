// SPDX-License-Identifier: MIT
//
// A thread is stopped after each of its instructions, as a BPF program at a context switch may find it, and its block is read by
// the rules of bpf/abi.h. Some of its waits end meanwhile, as if on another thread.
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>

#include <waitprobe/c.h>

#include "src/runtime/blocks.h"
#include "src/runtime/probes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/inside.h"
#include "tests/runtime/stepper.h"

#ifndef __SANITIZE_THREAD__  // which takes hundreds of instructions for one
namespace {

constexpr std::size_t most_open = 6;

// The open waits in the order of their starts.
struct OpenWaits {
  std::uint64_t wait_id[most_open];
  std::size_t cnt;
};

// What the traced process says of itself.
struct Told {
  const wp_block* block;
  bool is_in_call;  // between `before` and `after`
  OpenWaits before, after;
};

waitprobe_handle handles[] = {WAITPROBE_HANDLE("steps.a"), WAITPROBE_HANDLE("steps.b")};

class Traced {
 public:
  explicit Traced(volatile Told& told) : told_(told) {
    waitprobe_stop(waitprobe_start(&handles[0]));
    block_ = waitprobe::detail::home_block();
    told_.block = block_;
  }

  void call() {
    random_ = random_ * 1'664'525 + 1'013'904'223;
    const std::uint32_t choice = random_ >> 16;
    say(told_.before);
    if (open_.cnt == 0 || (choice % 2 == 0 && open_.cnt < most_open)) {
      open_.wait_id[open_.cnt++] = block_->last_wait_id + 1;
      begin_call();
      waits_[open_.cnt - 1] = waitprobe_start(&handles[choice / 2 % 2]);
      told_.is_in_call = false;
      return;
    }
    std::size_t at = choice / 2 % 3 != 0 ? open_.cnt - 1 : choice / 8 % open_.cnt;
    waitprobe_wait* wait = waits_[at];
    for (open_.cnt--; at < open_.cnt; at++) {
      open_.wait_id[at] = open_.wait_id[at + 1];
      waits_[at] = waits_[at + 1];
    }
    begin_call();
    waitprobe_stop(wait);
    told_.is_in_call = false;
  }

 private:
  void begin_call() {
    say(told_.after);
    told_.is_in_call = true;
  }

  void say(volatile OpenWaits& to) const {
    for (std::size_t i = 0; i < open_.cnt; i++) to.wait_id[i] = open_.wait_id[i];
    to.cnt = open_.cnt;
  }

  volatile Told& told_;
  const wp_block* block_;
  std::uint32_t random_ = 23;
  OpenWaits open_ = {};
  waitprobe_wait* waits_[most_open] = {};
};

[[noreturn]] void be_traced(volatile Told& told, int calls) {
  Traced traced(told);
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  raise(SIGSTOP);
  for (int i = 0; i < calls; i++) traced.call();
  _exit(0);
}

// Reads, and writes, what another process has.
class Tracer {
 public:
  Tracer(pid_t pid, const Told& told) : pid_(pid), told_(told) {}

  // After each instruction.
  void look() {
    if (!told_.is_in_call) return;
    steps_++;
    read_block();
    end_one();
    const std::uint64_t seen = test::innermost_wait(block_), before = innermost_of(told_.before),
                        after = innermost_of(told_.after);
    ASSERT_TRUE(seen == before || seen == after) << seen << " is neither " << before << " nor " << after;
    const wp_inside& inside = block_.inside;
    if (inside.counter == 0) return;
    shown_++;
    ASSERT_NE(inside.innermost, 0U);
    const wp_open_wait& slot = block_.open[inside.innermost - 1];
    if (ended_.contains(inside.wait_id)) {
      ASSERT_NE(inside.elsewhere, 0U);
      ASSERT_NE(slot.wait_id, inside.wait_id);
      return;
    }
    ASSERT_EQ(slot.wait_id, inside.wait_id);
    ASSERT_EQ(slot.counter, inside.counter);
    ASSERT_EQ(slot.start, inside.start);
  }

  int steps() const { return steps_; }
  int shown() const { return shown_; }
  std::size_t ended() const { return ended_.size(); }

 private:
  void read_block() {
    iovec to = {&block_, WP_RING_OFFSET}, from = {const_cast<wp_block*>(told_.block), WP_RING_OFFSET};
    ASSERT_EQ(process_vm_readv(pid_, &to, 1, &from, 1, 0), static_cast<ssize_t>(WP_RING_OFFSET));
  }

  void write_to_block(const void* what, std::size_t bytes) const {
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(what) - reinterpret_cast<const char*>(&block_));
    iovec from = {const_cast<void*>(what), bytes};
    iovec to = {reinterpret_cast<char*>(const_cast<wp_block*>(told_.block)) + offset, bytes};
    ASSERT_EQ(process_vm_writev(pid_, &from, 1, &to, 1, 0), static_cast<ssize_t>(bytes));
  }

  // As another thread does, now and then: any wait but the one that is now being started or ended.
  void end_one() {
    const std::size_t cnt = std::min(told_.before.cnt, told_.after.cnt);
    if (cnt == 0 || random_() % 500 != 0) return;
    const OpenWaits& open = told_.before.cnt < told_.after.cnt ? told_.before : told_.after;
    const std::uint64_t wait_id = open.wait_id[random_() % cnt];
    for (wp_open_wait& slot : block_.open) {
      if (slot.wait_id != wait_id) continue;
      ended_.insert(wait_id);
      block_.inside.elsewhere++;
      slot.counter = 0;
      slot.wait_id = 0;
      write_to_block(&block_.inside.elsewhere, sizeof block_.inside.elsewhere);
      write_to_block(&slot.wait_id, 2 * sizeof slot.wait_id);
    }
  }

  std::uint64_t innermost_of(const OpenWaits& open) const {
    for (std::size_t i = open.cnt; i != 0; i--) {
      if (!ended_.contains(open.wait_id[i - 1])) return open.wait_id[i - 1];
    }
    return 0;
  }

  const pid_t pid_;
  const Told& told_;
  wp_block block_ = {};
  std::set<std::uint64_t> ended_;
  std::mt19937 random_{1};
  int steps_ = 0, shown_ = 0;
};

void expect_rules_hold_at_each_instruction() {
  const char* few = std::getenv("WAITPROBE_STEPPED_CALLS");  // where an instruction takes milliseconds
  const int calls = few != nullptr ? std::atoi(few) : 250;
  void* shared = mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* told = new (shared) Told{};
  const pid_t child = fork();
  if (child == 0) be_traced(*told, calls);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (!WIFSTOPPED(status)) GTEST_SKIP() << "processes cannot be traced here";
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL);
  Tracer tracer(child, *told);
  test::Stepper stepper(child);
  while (WIFSTOPPED(status) && !testing::Test::HasFatalFailure()) {
    tracer.look();
    status = stepper.step();
    ASSERT_NE(status, -1);
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_GT(tracer.shown(), tracer.steps() / 4);
  EXPECT_GT(tracer.ended(), calls / 50U);
  std::printf("%d instructions, of which %d could read the wait at once; %zu waits ended elsewhere\n", tracer.steps(),
              tracer.shown(), tracer.ended());
  munmap(shared, sizeof(Told));
}

}  // namespace

TEST(InsideSteps, show_the_innermost_wait_by_the_cycle_counter) {
  waitprobe_root.clock = WP_CLOCK_CYCLES;
  waitprobe_root.armed.batch = 1;
  expect_rules_hold_at_each_instruction();
}

TEST(InsideSteps, show_the_innermost_wait_by_the_clock) {
  waitprobe_root.clock = WP_CLOCK_MONOTONIC;
  waitprobe_root.armed.batch = 1;
  expect_rules_hold_at_each_instruction();
}

// The slow path of a start.
TEST(InsideSteps, show_the_innermost_wait_when_backends_are_told) {
  waitprobe_root.armed.backends = 1;
  expect_rules_hold_at_each_instruction();
}
#endif
