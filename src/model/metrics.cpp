// SPDX-License-Identifier: MIT
#include "src/model/metrics.h"

#include <algorithm>

namespace waitprobe {

std::vector<MetricLabel> Exemplar::labels() const {
  std::vector<MetricLabel> all = {{"pid", std::to_string(pid)}, {"tid", std::to_string(tid)}};
  if (!trace_id.empty()) all.push_back({"trace_id", trace_id});
  return all;
}

std::uint64_t MetricHistogram::count() const {
  std::uint64_t count = 0;
  for (const auto& bucket : buckets) count += bucket.second;
  return count;
}

bool MetricHistogram::has(std::uint32_t bucket) const {
  return std::binary_search(buckets.begin(), buckets.end(), std::pair{bucket, std::uint64_t{0}},
                            [](const auto& a, const auto& b) { return a.first < b.first; });
}

void MetricHistogram::add(const Histogram& more) {
  constexpr std::uint64_t second = 1'000'000'000;
  const SparseHistogram added = more.sparse();
  std::vector<std::pair<std::uint32_t, std::uint64_t>> merged;
  merged.reserve(buckets.size() + added.buckets.size());
  auto old = buckets.begin();
  for (const auto& bucket : added.buckets) {
    while (old != buckets.end() && old->first < bucket.first) merged.push_back(*old++);
    merged.push_back(bucket);
    if (old != buckets.end() && old->first == bucket.first) merged.back().second += old++->second;
  }
  merged.insert(merged.end(), old, buckets.end());
  merged.shrink_to_fit();
  buckets = std::move(merged);
  sum_ns += static_cast<std::uint32_t>(added.total_ns % second);
  sum_s += added.total_ns / second + sum_ns / second;
  sum_ns %= second;
}

}  // namespace waitprobe
