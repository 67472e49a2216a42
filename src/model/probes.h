// SPDX-License-Identifier: MIT
//
// The probes of bpf/abi.h as arrays.
#pragma once

#include <cstdint>

#include "bpf/abi.h"

namespace waitprobe {

struct Probe {
  const char* name;
  std::uint64_t min_ns;   // it fires for waits at least this long
  const char* arguments;  // their names, with blanks between
};

#define WP_PROBE_ROW(probe, semaphore, min_ns, arguments) {#probe, min_ns, arguments},
inline constexpr Probe all_probes[] = {WP_PROBES(WP_PROBE_ROW)};
// The probes that tell of single waits (docs/design.md).
inline constexpr Probe wait_probes[] = {WP_EVENT_PROBES(WP_PROBE_ROW)};
// The shortest threshold first.
inline constexpr Probe slow_probes[] = {WP_SLOW_PROBES(WP_PROBE_ROW)};
#undef WP_PROBE_ROW

constexpr bool thresholds_ascend() {
  std::uint64_t last = 0;
  for (const Probe& probe : slow_probes) {
    if (probe.min_ns <= last) return false;
    last = probe.min_ns;
  }
  return true;
}
static_assert(thresholds_ascend(), "a wait that is too short for one probe is too short for those after it");

}  // namespace waitprobe
