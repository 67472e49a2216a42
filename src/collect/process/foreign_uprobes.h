// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/process/probe_notes.h"
#include "src/collect/process/process.h"
#include "src/model/result.h"

namespace waitprobe {

struct ForeignUprobes {
  std::vector<std::string> names;  // for people; any bytes
  bool are_all_seen = true;        // false: this user may not see all there are
};

// Uprobes of tracefs that bring no semaphore.
struct TracefsUprobes {
  struct Uprobe {
    std::string name;  // GROUP/EVENT
    std::string path;  // of its file
    std::uint64_t offset = 0;
  };
  std::vector<Uprobe> all;
  bool are_all_seen = true;

  ForeignUprobes on(const std::string& path, const UsdtSite& site) const;
};

// BPF programs on uprobes of perf_event_open, which tracers such as bpftrace use. Only their place is told, not whether they
// bring a semaphore.
struct UprobePrograms {
  struct Program {
    std::uint32_t pid = 0;  // who holds it
    FileId file;            // as stat() names it
    std::uint64_t offset = 0;
  };
  std::vector<Program> all;
  bool are_all_seen = true;
  TracefsUprobes of_tracefs;  // what else may sit there, read at the same time

  ForeignUprobes on(const std::string& path, const UsdtSite& site) const;
};

// Those of all processes. Looks at each of their open files, some microseconds each: for once, not for each probe.
UprobePrograms read_uprobe_programs();

// The kernel refuses (EINVAL) a uprobe that brings a semaphore where another sits that brings none, and the other way round.
// Looks for the other one on this probe of this file, and if there is one, names it in `error` and says what to do.
void explain_foreign_uprobe(const std::string& path, const UsdtSite& site, Error& error);

}  // namespace waitprobe
