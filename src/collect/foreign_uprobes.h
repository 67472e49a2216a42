// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "src/collect/probe_notes.h"
#include "src/model/result.h"

namespace waitprobe {

struct ForeignUprobes {
  std::vector<std::string> names;  // for people; any bytes
  bool are_all_seen = true;        // false: this user may not see all there are
};

// Uprobes of tracefs on this probe of this file that bring no semaphore.
ForeignUprobes foreign_uprobes_of_tracefs(const std::string& path, const UsdtSite& site);
// BPF programs there that others have attached, whether they bring one or not.
ForeignUprobes foreign_programs(const std::string& path, const UsdtSite& site);

// The kernel refuses (EINVAL) a uprobe that brings a semaphore where another sits that brings none, and the other way round.
// Looks for the other one on this probe of this file, and if there is one, names it in `error` and says what to do.
void explain_foreign_uprobe(const std::string& path, const UsdtSite& site, Error& error);

}  // namespace waitprobe
