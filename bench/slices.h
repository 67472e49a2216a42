// SPDX-License-Identifier: MIT
//
// How the programs of bench/attached.sh measure: short slices of the floor (two clock reads around nothing) and of guarded
// waits in turn, in one process, so that whatever slows the machine down slows both. Time is CPU time of the thread, in which
// its traps count and its neighbours do not.
#pragma once

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

namespace slices {

using Loop = void (*)(long rounds);  // four waits a round, one on each of four keys

constexpr long waits_a_round = 4;
constexpr double slice_ns = 2e6;
constexpr int warm_up_pairs = 3;

inline double now_ns(clockid_t clock) noexcept {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// The body of a wait: nothing, which the compiler must take for something.
inline void nothing() noexcept { asm volatile("" ::: "memory"); }

inline void two_clock_reads() noexcept {
  timespec start, stop;
  clock_gettime(CLOCK_MONOTONIC, &start);
  nothing();
  clock_gettime(CLOCK_MONOTONIC, &stop);
  const std::int64_t duration = (stop.tv_sec - start.tv_sec) * 1'000'000'000 + (stop.tv_nsec - start.tv_nsec);
  asm volatile("" : : "r"(duration));
}

__attribute__((noinline)) inline void floor_loop(long rounds) {
  for (long i = 0; i < rounds; i++) {
    two_clock_reads();
    two_clock_reads();
    two_clock_reads();
    two_clock_reads();
  }
}

// A slice of this many rounds takes about slice_ns.
struct Slice {
  Loop loop;
  long rounds = 64;

  // Nanoseconds of each wait.
  double run() const {
    const double before = now_ns(CLOCK_THREAD_CPUTIME_ID);
    loop(rounds);
    return (now_ns(CLOCK_THREAD_CPUTIME_ID) - before) / static_cast<double>(rounds * waits_a_round);
  }
};

// Counts the waits that were guarded, for the tracer to be held against. One thread at a time.
class Pair {
 public:
  explicit Pair(Loop loop) : floor_{floor_loop}, guarded_{loop} {
    calibrate(floor_);
    calibrate(guarded_);
  }

  double floor() const { return floor_.run(); }
  double guarded() {
    waits_ += guarded_.rounds * waits_a_round;
    return guarded_.run();
  }
  long waits() const { return waits_; }

 private:
  void calibrate(Slice& slice) {
    for (;;) {
      if (slice.loop == guarded_.loop) waits_ += slice.rounds * waits_a_round;
      const double took = slice.run() * static_cast<double>(slice.rounds * waits_a_round);
      if (took > slice_ns / 4) {
        slice.rounds = static_cast<long>(static_cast<double>(slice.rounds) * slice_ns / took) + 1;
        return;
      }
      slice.rounds *= 2;
    }
  }

  Slice floor_, guarded_;
  long waits_ = 0;
};

// Prints {"pairs":[[floor, guarded], ...],"waits":N}.
inline void print_one_thread(Loop guarded, int pairs) {
  Pair pair(guarded);
  std::printf("{\"pairs\":[");
  for (int i = -warm_up_pairs; i < pairs; i++) {
    const double floor = pair.floor(), wait = pair.guarded();
    if (i >= 0) std::printf("%s[%.3f,%.3f]", i == 0 ? "" : ",", floor, wait);
  }
  std::printf("],\"waits\":%ld}\n", pair.waits());
}

inline bool pin_to(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

// Two threads on CPUs 0 and 1. Each slice is run by the first thread alone, while the other sleeps, and then by both at once.
class TwoThreads {
 public:
  TwoThreads(Loop guarded, int pairs) : guarded_(guarded), pairs_(pairs) {}

  // Prints {"pairs":[[floor alone, guarded alone, floor of both, guarded of both, overlap], ...],"waits":N}: what both did is
  // the mean of the two, and the overlap is for how much of the longer guarded slice both of them ran.
  bool print() {
    std::thread other([this] { work(1); });
    work(0);
    other.join();
    if (failed_) return false;
    std::printf("{\"pairs\":[");
    for (int i = 0; i < pairs_; i++) {
      const Seen &a = seen_[0][i], &b = seen_[1][i];
      const double both = std::min(a.end, b.end) - std::max(a.begin, b.begin);
      const double overlap = both / std::max(a.end - a.begin, b.end - b.begin);
      std::printf("%s[%.3f,%.3f,%.3f,%.3f,%.3f]", i == 0 ? "" : ",", a.floor_alone, a.alone, (a.floor + b.floor) / 2,
                  (a.wait + b.wait) / 2, overlap);
    }
    std::printf("],\"waits\":%ld}\n", waits_.load());
    return true;
  }

 private:
  struct Seen {
    double floor_alone, alone, floor, wait, begin, end;
  };

  // Sleeps until both are here, and then begins at the same moment: waking up takes longer than agreeing.
  void meet() {
    sleep_.arrive_and_wait();
    const unsigned mine = spun_.fetch_add(1) / 2;
    while (spun_.load() / 2 == mine) sched_yield();
  }

  void work(int which) {
    if (!pin_to(which)) failed_ = true;
    Pair pair(guarded_);
    for (int i = -warm_up_pairs; i < pairs_; i++) {
      Seen seen{};
      sleep_.arrive_and_wait();
      if (which == 0) {
        seen.floor_alone = pair.floor();
        seen.alone = pair.guarded();
      }
      meet();
      seen.floor = pair.floor();
      meet();
      seen.begin = now_ns(CLOCK_MONOTONIC);
      seen.wait = pair.guarded();
      seen.end = now_ns(CLOCK_MONOTONIC);
      if (i >= 0) seen_[which].push_back(seen);
    }
    waits_ += pair.waits();
  }

  Loop guarded_;
  int pairs_;
  std::barrier<> sleep_{2};
  std::atomic<unsigned> spun_{0};
  std::atomic<bool> failed_{false};
  std::atomic<long> waits_{0};
  std::vector<Seen> seen_[2];
};

// Says that the process stands ready, and returns when stdin has a line or is closed.
inline void wait_for_line() {
  for (int c = 0; c != '\n' && c != EOF;) c = std::getchar();
}
inline void say_ready() {
  std::printf("ready\n");
  std::fflush(stdout);
  wait_for_line();
}

}  // namespace slices
