// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/abi.h"
#include "src/model/unseen.h"

namespace waitprobe {

// A file with the probes, mapped by a process: one row of `list`.
struct Carrier {
  std::uint32_t pid = 0;
  std::string comm;  // any bytes
  std::string file;  // any bytes
  // Absent without the right to read the process's memory.
  std::optional<bool> armed;                     // its guards do something: for a tracer, for a backend, or by WAITPROBE_TRACK
  std::optional<wp_clock> clock;                 // what its guards read
  std::optional<std::vector<std::string>> keys;  // any bytes, sorted
  std::string untraceable = {};                  // why it cannot be attached to; empty: it can, as far as its file tells
  std::optional<bool> traced = {};               // whether a tracer is attached; absent as above
};

// What `list` found.
struct Inventory {
  std::vector<Carrier> carriers;  // in order of pid, file
  Unseen unseen;
};

}  // namespace waitprobe
