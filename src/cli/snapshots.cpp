// SPDX-License-Identifier: MIT
#include "src/cli/snapshots.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "src/cli/output.h"
#include "src/cli/shared_options.h"
#include "src/cli/tracing.h"
#include "src/view/columns.h"
#include "src/view/json.h"

namespace waitprobe::cli {
Result<void> for_each_interval(SnapshotSource& source, const Span& span, const std::function<Result<bool>(Snapshot)>& take) {
  Snapshot before;
  if (span.from_ns != 0) before = source.totals_at(span.from_ns).snapshot;
  for (std::uint64_t next_ns = later(span.from_ns, span.interval_ns);; next_ns = later(next_ns, span.interval_ns)) {
    const bool at_end = next_ns >= span.to_ns;
    SnapshotSource::Totals now = source.totals_at(std::min(next_ns, span.to_ns));
    const auto taken = take(interval(now.snapshot, before));
    if (!taken) return taken.error();
    if (at_end || now.is_last || !*taken) return {};
    before = std::move(now.snapshot);
    // Over a gap, which may be years where a clock was set, in one step.
    if (now.next_ns > next_ns) next_ns += (now.next_ns - next_ns) / span.interval_ns * span.interval_ns;
  }
}

void add_print_options(Parser& parser, PrintOptions& options) {
  add_key_globs(parser, options.key_globs);
  add_class_globs(parser, options.class_globs);
  parser.add_choice("--sort", options.table.sort, "COLUMN", joined(sort_names(), "|") + " (default: total)", sort_names(),
                    "column");
  parser.add_flag("--json", options.json, "Print one JSON object per line");
}

void add_table_options(Parser& parser, TableOptions& options) {
  add_count(parser, "--top", options.top, "Print only the first COUNT rows of each table");
  parser.add_flag("--bars", options.bars, "Print the histogram of each key");
}

void check_table_options(const TableOptions& options, const std::string& group_by) {
  if (options.top != 0 && !group_by.empty()) throw UsageError{"--top cannot be combined with --by-env"};
}

Result<bool> print_snapshot(const PrintOptions& options, Snapshot snapshot) {
  classify(snapshot, options.class_globs);
  keep_keys(snapshot, options.key_globs);
  std::ostringstream out;
  if (options.json) {
    print_json(out, snapshot);
  } else {
    print_hist(out, snapshot, options.table);
  }
  return write_output(out.view());
}

}  // namespace waitprobe::cli
