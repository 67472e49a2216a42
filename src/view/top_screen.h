// SPDX-License-Identifier: MIT
//
// The screen of `top`: what it shows, and what its keys do. Knows nothing of terminals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/model/snapshot.h"

namespace waitprobe {

// What there is to be shown.
struct TopData {
  std::string target;                                                          // for people; any bytes
  Snapshot interval;                                                           // what happened in the last one
  std::shared_ptr<const Snapshot> total = std::make_shared<const Snapshot>();  // since it was attached; never null
  std::string ended;  // "has ended at 12:34:56"; empty while the target lives
  std::string alert;  // the last thing that went wrong; any bytes
};

// Which series a row is of.
struct RowId {
  std::uint64_t process_start_ticks = 0;
  std::uint32_t pid = 0;
  std::string key;
  std::uint64_t distinct = 0;
  bool operator==(const RowId&) const = default;
};

struct TopState {
  std::string sort = "total";  // one of sort_names()
  bool totals = false;         // since attached, rather than of the last interval
  bool paused = false;
  bool is_typing = false;  // the filter
  std::string filter;      // rows whose key or process holds it; valid UTF-8
  bool bars = false;       // of the selected row
  bool help = false;
  bool quit = false;
  RowId selected;  // followed when rows change their places
  std::size_t selected_row = 0;
  std::size_t first_row = 0;  // shown
};

enum class TopKey { text, up, down, page_up, page_down, home, end, left, right, enter, escape, backspace };

// What a key does; of TopKey::text, `text` is what was typed, one character of valid UTF-8. `rows` is the height of the screen.
void press(TopState& state, const TopData& data, TopKey key, const std::string& text, std::size_t rows);

enum class TopStyle { plain, title, header, selected, dim, alert };

struct TopLine {
  std::string text;  // valid UTF-8, as wide as the screen at the most
  TopStyle style = TopStyle::plain;
};

// Adds what is in `total` and not in `interval`, without waits: so that rows stay where they are while their key is quiet.
void add_quiet_series(Snapshot& interval, const Snapshot& total);

// Exactly `rows` lines. Moves the selection to a row that exists.
std::vector<TopLine> render(TopState& state, const TopData& data, std::size_t rows, std::size_t columns);

}  // namespace waitprobe
