// SPDX-License-Identifier: MIT
#include "src/view/inventory.h"

#include <algorithm>

#include "src/view/escape.h"
#include "src/view/note_lines.h"

namespace waitprobe {
namespace {

constexpr std::size_t line_width = 80, indent = 8, most_keys = 100;  // lines of keys break there

// The keys, as many on a line as fit.
void print_keys(std::ostream& out, const std::vector<std::string>& keys, std::size_t width) {
  std::size_t used = line_width;
  for (std::size_t i = 0; i < std::min(keys.size(), most_keys); i++) {
    const std::string key = shorten(keys[i].empty() ? "(empty key)" : escape(keys[i]), width - indent);
    const std::size_t columns = display_width(key);
    if (used + 2 + columns > line_width) {
      if (i != 0) out << '\n';
      out << std::string(indent, ' ');
      used = indent;
    } else {
      out << "  ";
      used += 2;
    }
    out << key;
    used += columns;
  }
  if (!keys.empty()) out << '\n';
  if (keys.size() > most_keys)
    out << std::string(indent, ' ') << "and " << std::to_string(keys.size() - most_keys) << " more; --json shows all\n";
}

std::string clock_name(const std::optional<wp_clock>& clock) {
  if (!clock) return "?";
  switch (*clock) {
    case WP_CLOCK_MONOTONIC:
      return "clock";
    case WP_CLOCK_CYCLES:
      return "cycles";
    case WP_CLOCK_DISAGREED:
      return "clock!";
    case WP_CLOCK_UNDECIDED:
      break;
  }
  return "-";
}

void print_carrier(std::ostream& out, const Carrier& carrier, std::size_t name_width, std::size_t width) {
  const std::string traced = carrier.traced ? (*carrier.traced ? "yes" : "no") : "?";
  const std::string keys = !carrier.keys ? "?" : carrier.keys->empty() ? "-" : std::to_string(carrier.keys->size());
  out << align_right(std::to_string(carrier.pid), 7) << ' ' << pad_in(escape(carrier.comm), name_width, width) << ' '
      << pad(traced, 6) << ' ' << pad(clock_name(carrier.clock), 6) << ' ' << align_right(keys, 6) << ' '
      << shorten(escape(carrier.file), width - 31 - name_width) << '\n';
  if (!carrier.untraceable.empty()) out << std::string(indent, ' ') << "cannot be traced: " << carrier.untraceable << '\n';
  if (carrier.keys) print_keys(out, *carrier.keys, width);
}

}  // namespace

void print_inventory(std::ostream& out, const Inventory& inventory, std::size_t width, Colours colours) {
  const std::size_t name_width = 5 + name_columns(width);
  if (inventory.carriers.empty()) {
    out << (!inventory.unseen.any() ? "No process carries the probes of waitprobe.\n"
                                    : "None of the processes that could be read carries the probes of waitprobe.\n");
  } else {
    const std::string heading = align_right("pid", 7) + ' ' + pad("name", name_width) + " traced clock    keys file";
    out << emphasised(heading, Emphasis::bold, colours) << '\n';
  }
  for (const Carrier& carrier : inventory.carriers) print_carrier(out, carrier, name_width, width);
  if (std::any_of(inventory.carriers.begin(), inventory.carriers.end(),
                  [](const Carrier& carrier) { return carrier.clock == WP_CLOCK_DISAGREED; })) {
    out << "clock!: the cycle counter and the clock differ; waits are timed by the clock\n";
  }
  print_unseen(out, inventory.unseen);
}

}  // namespace waitprobe
