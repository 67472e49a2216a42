// SPDX-License-Identifier: MIT
#include "src/model/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace waitprobe {

bool SparseHistogram::add_bucket(std::uint64_t lo_ns, std::uint64_t waits) {
  const std::uint32_t index = wp_bucket_of(lo_ns);
  buckets.emplace_back(index, waits);
  return wp_bucket_lo(index) == lo_ns;
}

Histogram::Histogram(const wp_hist& totals) : total_ns_(totals.total_ns) {
  std::uint32_t first = 0, last = WP_BUCKETS;
  while (first < WP_BUCKETS && totals.bucket[first] == 0) first++;
  if (first == WP_BUCKETS) return;
  while (totals.bucket[last - 1] == 0) last--;
  first_ = first;
  buckets_.assign(totals.bucket + first, totals.bucket + last);
  min_ns_ = ~totals.inverted_min_ns;
  max_ns_ = totals.max_ns;
  // The kernel may be between the bucket and the extremes of a wait at this moment.
  if (wp_bucket_of(min_ns_) != first || wp_bucket_of(max_ns_) != last - 1) bound_min_max(min_ns_, max_ns_);
}

std::pair<std::uint32_t, std::uint32_t> Histogram::outermost() const {
  std::uint32_t first = 0, last = static_cast<std::uint32_t>(buckets_.size());
  while (first < last && buckets_[first] == 0) first++;
  if (first == last) return {WP_BUCKETS, 0};
  while (buckets_[last - 1] == 0) last--;
  return {first_ + first, first_ + last - 1};
}

void Histogram::make_room(std::uint32_t first, std::uint32_t last) {
  if (buckets_.empty()) first_ = first;
  if (first < first_) {
    buckets_.insert(buckets_.begin(), first_ - first, 0);
    first_ = first;
  }
  if (last - first_ >= buckets_.size()) buckets_.resize(last - first_ + 1);
}

std::uint64_t& Histogram::at(std::uint32_t index) {
  make_room(index, index);
  return buckets_[index - first_];
}

void Histogram::add(const Histogram& other) {
  if (other.count() == 0) return;
  min_ns_ = count() == 0 ? other.min_ns_ : std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  min_max_are_bounds_ |= other.min_max_are_bounds_;
  total_ns_ += other.total_ns_;
  const auto [first, last] = other.outermost();
  make_room(first, last);
  for (std::uint32_t i = first; i <= last; i++) buckets_[i - first_] += other.bucket(i);
}

void Histogram::append(const SparseHistogram& next) {
  if (next.buckets.empty()) return;
  const bool is_first = count() == 0;
  min_ns_ = is_first ? next.min_ns : std::min(min_ns_, next.min_ns);
  max_ns_ = std::max(max_ns_, next.max_ns);
  if (is_first) min_max_are_bounds_ = next.min_max_are_bounds;
  total_ns_ += next.total_ns;
  for (const auto& [index, waits] : next.buckets) at(index) += waits;
}

SparseHistogram Histogram::sparse() const {
  SparseHistogram all{total_ns_, min_ns_, max_ns_, min_max_are_bounds_, {}};
  for (std::size_t i = 0; i < buckets_.size(); i++) {
    if (buckets_[i] != 0) all.buckets.emplace_back(first_ + i, buckets_[i]);
  }
  return all;
}

Histogram Histogram::since(const Histogram& earlier) const {
  if (earlier.count() == 0) return *this;
  Histogram between;
  between.total_ns_ = total_ns_ - std::min(total_ns_, earlier.total_ns_);
  between.first_ = first_;
  between.buckets_ = buckets_;
  for (std::size_t i = 0; i < buckets_.size(); i++) {
    between.buckets_[i] -= std::min(buckets_[i], earlier.bucket(first_ + static_cast<std::uint32_t>(i)));
  }
  between.bound_min_max(min_ns_, max_ns_);
  return between;
}

void Histogram::bound_min_max(std::uint64_t known_min_ns, std::uint64_t known_max_ns) {
  min_max_are_bounds_ = true;
  const auto [first, last] = outermost();
  if (first == WP_BUCKETS) return;
  min_ns_ = wp_bucket_of(known_min_ns) == first ? known_min_ns : wp_bucket_lo(first);
  if (wp_bucket_of(known_max_ns) == last) {
    max_ns_ = known_max_ns;
  } else {
    // Nothing bounds the last bucket: it is shown by where it begins.
    max_ns_ = last == WP_BUCKETS - 1 ? wp_bucket_lo(last) : wp_bucket_hi(last) - 1;
  }
}

std::uint64_t Histogram::count() const { return std::accumulate(buckets_.begin(), buckets_.end(), std::uint64_t{0}); }

std::uint64_t Histogram::quantile_ns(double q) const {
  const std::uint64_t waits = count();
  if (waits == 0) return 0;
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(waits))), 1, waits);
  std::uint64_t seen = 0;
  std::uint32_t index = first_;
  while ((seen += bucket(index)) < rank) index++;
  if (index == WP_BUCKETS - 1) return max_ns_;
  const auto least = static_cast<double>(wp_bucket_lo(index)), greatest = static_cast<double>(wp_bucket_hi(index) - 1);
  const auto middle = static_cast<std::uint64_t>(std::lround(std::sqrt(least * greatest)));
  return std::clamp(middle, min_ns_, std::max(min_ns_, max_ns_));
}

}  // namespace waitprobe
