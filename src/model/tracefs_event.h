// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/model/result.h"
#include "src/model/unseen.h"

namespace waitprobe {

// A probe as tracefs takes it, to make an event of it: one line of uprobe_events.
struct TracefsEvent {
  struct Field {
    std::string name;
    std::string value;  // a register as the kernel calls it, "%di"; or what one points to, "+0(%di)"
    std::string type;   // "u64", "ustring"
  };

  std::string name;                    // of the probe
  std::string file;                    // a path that the kernel can follow now; no blank in it
  std::uint64_t offset = 0;            // in the file, of the instruction
  std::uint64_t semaphore_offset = 0;  // in the file, never 0
  std::vector<Field> fields;
};

// What there is for the target, and what could not be had.
struct TracefsEvents {
  std::vector<TracefsEvent> events;
  std::vector<Error> left_out;  // files of running processes that have no path
  Unseen unseen;                // processes that may run more files
};

}  // namespace waitprobe
