// SPDX-License-Identifier: MIT
//
// From a source to what is printed: what `hist`, `top`, `record` and `report` have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/cli/parser.h"
#include "src/model/snapshot_source.h"
#include "src/view/hist_table.h"

namespace waitprobe::cli {

// Which part of a source, and in which pieces. Units: nanoseconds from the source's beginning.
struct Span {
  std::uint64_t from_ns = 0;
  std::uint64_t to_ns = UINT64_MAX;
  std::uint64_t interval_ns = UINT64_MAX;
};

// Hands over what happened in each interval of the span, up to the source's end. It may stop with false: nobody reads any
// more. Errors: its own.
Result<void> for_each_interval(SnapshotSource& source, const Span& span, const std::function<Result<bool>(Snapshot)>& take);

// How snapshots are printed.
struct PrintOptions {
  std::vector<std::string> key_globs;
  ClassGlobs class_globs;
  TableOptions table;
  bool json = false;
};

// -k, --idle, --work, --sort and --json.
void add_print_options(Parser& parser, PrintOptions& options);

// --top and --bars, of commands that print tables alone.
void add_table_options(Parser& parser, TableOptions& options);
// Errors: throws UsageError where --top stands beside --by-env. REQUIRES: parsed.
void check_table_options(const TableOptions& options, const std::string& group_by);

// Takes what for_each_interval() hands over.
Result<bool> print_snapshot(const PrintOptions& options, Snapshot snapshot);

}  // namespace waitprobe::cli
