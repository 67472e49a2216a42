// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "src/collect/probe_notes.h"
#include "src/model/result.h"

namespace waitprobe {

// The kernel refuses (EINVAL) a uprobe that brings a semaphore where another sits that brings none, and the other way round.
// Looks for the other one on this probe of this file, and if there is one, names it in `error` and says what to do.
void explain_foreign_uprobe(const std::string& path, const ProbeSite& site, Error& error);

}  // namespace waitprobe
