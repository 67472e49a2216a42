// SPDX-License-Identifier: MIT
#include "src/model/history.h"

#include <algorithm>
#include <utility>

namespace waitprobe {
namespace {

bool is_of_key(const SeriesId& id, const HistoryKey& key) { return id.key == key.total.key && id.key_len == key.total.key_len; }

}  // namespace

History begin_history(Snapshot total) {
  History history;
  const std::vector<Series> processes = total.series;
  add_up_processes(total.series);
  for (const Series& s : total.series) history.keys.push_back({s, {}, {}});
  for (const Series& s : processes) {
    const auto key =
        std::find_if(history.keys.begin(), history.keys.end(), [&](const HistoryKey& k) { return is_of_key(s, k); });
    if (key != history.keys.end()) key->processes.push_back(s);
  }
  history.total = std::move(total);
  return history;
}

void add_column(History& history, Snapshot interval) {
  history.columns.push_back({interval.time_unix_ns, interval.elapsed_ns});
  add_up_processes(interval.series);
  auto next = interval.series.begin();
  for (HistoryKey& key : history.keys) {
    // Both are in the same order.
    while (next != interval.series.end() && is_before(*next, key.total)) ++next;
    const bool has_waits = next != interval.series.end() && is_of_key(*next, key);
    key.columns.push_back(has_waits ? next->histogram.sparse() : SparseHistogram());
  }
}

}  // namespace waitprobe
