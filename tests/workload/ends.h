// SPDX-License-Identifier: MIT
//
// Waits where they are hard to follow: in signal handlers, in threads that hardly live, in the last destructors of threads and
// process.
#pragma once

#include <cstdint>

#include "tests/workload/work.h"

// A signal every so often, whose handler waits on key `alarm`, as long as this lives: in the other threads that there are,
// never in the one that has made it.
class Alarm {
 public:
  explicit Alarm(std::uint32_t every_us);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // Waits that handlers have done. REQUIRES: it has ended.
  static std::uint64_t waits();
};

struct Resident {
  std::uint64_t before_kib = 0;  // when a tenth of the threads have ended
  std::uint64_t after_kib = 0;
};

// Starts and ends so many threads, a few at a time, with three waits each.
Resident churn_threads(std::uint32_t cnt, Keys& keys, Truth& truth);

// From now on threads that call wait_at_thread_exit() wait once more on `late.tls`, in the destructor of a thread_local, and
// twice on `late.key`, in those of pthread keys made before and after the library's own; and the process, on `late.atexit`.
void prepare_late_guards();
void wait_at_thread_exit();
void add_late_guards(std::uint32_t threads, Truth& truth);
