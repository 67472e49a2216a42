// SPDX-License-Identifier: MIT
//
// What `hist` and `top` have in common: their options, and how they print without a screen.
#pragma once

#include <string>
#include <vector>

#include "src/cli/parser.h"
#include "src/collect/hist_session.h"
#include "src/view/hist_table.h"

namespace waitprobe::cli {

struct SnapshotOptions {
  TargetChoice targets;
  std::uint64_t duration_ns = UINT64_MAX;
  std::uint64_t interval_ns = UINT64_MAX;
  std::vector<std::string> key_globs;
  TableOptions table;
  bool json = false;
};

// -d, -i, -k, --sort and --json.
void add_snapshot_options(Parser& parser, SnapshotOptions& options);

// Counts until the end, and prints an interval at a time, or all at once. Returns why it ended.
Result<TargetSession::Event> print_snapshots(HistSession& session, const SnapshotOptions& options);

}  // namespace waitprobe::cli
