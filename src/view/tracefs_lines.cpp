// SPDX-License-Identifier: MIT
#include "src/view/tracefs_lines.h"

#include <sstream>

#include "src/model/probes.h"

namespace waitprobe {
namespace {

std::string hex(std::uint64_t number) {
  std::ostringstream text;
  text << "0x" << std::hex << number;
  return text.str();
}

}  // namespace

void print_definitions(std::ostream& out, const std::vector<TracefsEvent>& events, const std::string& group) {
  for (const TracefsEvent& event : events) {
    out << "p:" << group << '/' << event.name << ' ' << event.file << ':' << hex(event.offset) << '('
        << hex(event.semaphore_offset) << ')';
    for (const auto& field : event.fields) out << ' ' << field.name << '=' << field.value << ':' << field.type;
    out << '\n';
  }
}

void print_removals(std::ostream& out, const std::string& group) {
  for (const Probe& probe : wait_probes) out << "-:" << group << '/' << probe.name << '\n';
}

}  // namespace waitprobe
