// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "bpf/abi.h"

namespace waitprobe {

// A histogram without what is empty, as recordings keep it.
struct SparseHistogram {
  std::uint64_t total_ns = 0;
  std::uint64_t min_ns = 0;
  std::uint64_t max_ns = 0;
  bool min_max_are_bounds = false;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> buckets;  // index, count

  // Adds a bucket. False: none begins at `lo_ns`.
  bool add_bucket(std::uint64_t lo_ns, std::uint64_t waits);
};

// How long the waits of one series took. Buckets are those of bpf/bucket.h. Units: nanoseconds.
class Histogram {
 public:
  Histogram() = default;

  // N.B. The kernel adds to `totals` while they are read: first to the bucket, then to the total, then to the extremes.
  // Extremes that do not fit the buckets are bounds.
  explicit Histogram(const wp_hist& totals);

  void add(const Histogram& other);

  // Adds what since() has told of the waits that came next. The extremes stay exact: those of all time that lie in the
  // outermost buckets of an interval are told as they are, and bounds are never beyond those of all time.
  void append(const SparseHistogram& next);

  // What came between `earlier` and this. The least and the greatest of an interval are not known: they become the bounds of
  // the outermost buckets that are not empty, or those of all time where they are closer. What went back counts as zero.
  // REQUIRES: `earlier` is an earlier state of the same series.
  Histogram since(const Histogram& earlier) const;

  SparseHistogram sparse() const;

  std::uint64_t count() const;
  std::uint64_t total_ns() const { return total_ns_; }
  std::uint64_t bucket(std::uint32_t index) const { return index - first_ < buckets_.size() ? buckets_[index - first_] : 0; }

  // 0 when empty. Exact, unless min_max_are_bounds().
  std::uint64_t min_ns() const { return min_ns_; }
  std::uint64_t max_ns() const { return max_ns_; }
  bool min_max_are_bounds() const { return min_max_are_bounds_; }

  // The duration that a share `q` of the waits did not exceed, by the geometric middle of its bucket: off by at most 4.43 % and
  // half a nanosecond, and never outside [min_ns, max_ns]. 0 when empty. REQUIRES: 0 < q <= 1.
  std::uint64_t quantile_ns(double q) const;

 private:
  // The first and the last bucket that are not empty; WP_BUCKETS and whatever if all are.
  std::pair<std::uint32_t, std::uint32_t> outermost() const;
  // Makes the extremes bounds of the outermost buckets; closer ones if those that are known lie in these buckets.
  void bound_min_max(std::uint64_t known_min_ns, std::uint64_t known_max_ns);

  // A reference to a bucket, for which there is room from now on.
  std::uint64_t& at(std::uint32_t index);
  // Makes room for buckets [first, last].
  void make_room(std::uint32_t first, std::uint32_t last);

  // From number first_ on: of all buckets, few are not empty, and there may be very many histograms.
  std::vector<std::uint64_t> buckets_;
  std::uint32_t first_ = 0;
  std::uint64_t total_ns_ = 0;
  std::uint64_t min_ns_ = 0;
  std::uint64_t max_ns_ = 0;
  bool min_max_are_bounds_ = false;
};

}  // namespace waitprobe
