// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/model/key_class.h"
#include "src/model/snapshot.h"
#include "src/model/stack.h"

namespace waitprobe {

// One wait that took long: a line of `slow`.
struct SlowWait {
  std::uint64_t time_unix_ns = 0;  // when it ended
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::string comm;           // of the process; any bytes
  std::string thread;         // its name; any bytes
  std::string key;            // any bytes, the first WP_KEY_MAX of them
  std::uint64_t key_len = 0;  // of the whole key
  KeyClass key_class = KeyClass::wait;
  std::uint64_t duration_ns = 0;
  std::uint64_t wait_id = 0;
  std::string trace_id;  // 32 hexadecimal digits; empty: the thread had said none
  Stack stack;           // of the thread when it ended; empty if it was not asked for
};

// What `slow` has seen, in the end.
struct SlowSummary {
  std::uint64_t time_unix_ns = 0;
  std::uint64_t elapsed_ns = 0;
  std::uint64_t min_ns = 0;        // what is slow
  std::uint64_t shown_cnt = 0;     // waits that were shown
  std::uint64_t left_out_cnt = 0;  // of other keys than those that were asked for
  Losses losses;                   // of any key
  Caveats caveats;
};

}  // namespace waitprobe
