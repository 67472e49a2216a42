// SPDX-License-Identifier: MIT
//
// The few buckets of classic histograms, for text formats, out of the many of bpf/bucket.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/model/metrics.h"
#include "src/model/result.h"

namespace waitprobe {

// Their upper bounds, inclusive, as exponents of powers of two of a second: -10 is 1/1024 s. Each is the bound of a bucket of
// bpf/bucket.h too, so the counts are exact. Ascending, each once, not empty; the last bucket, +Inf, comes besides.
using ClassicBounds = std::vector<int>;

inline constexpr int least_classic_bound = -30;  // 0.93 ns
inline constexpr int greatest_classic_bound = 13;

// From 1 us to 32 s, closer where most waits are: 11 bounds, with +Inf 12 buckets.
const ClassicBounds& default_classic_bounds();

// A choice of bounds: "2^-10,2^-3,1,16", each a power of two of a second, as 2^N or a decimal number ("0.5"), in any order.
// Error: what is no number, no such power or out of range, and which powers are next to it.
Result<ClassicBounds> parse_classic_bounds(std::string_view text);

// As the value of the label `le`: "0.0009765625", "1.0". The same in all formats, so that changing the format does not make new
// series: it is how Prometheus itself writes a bound.
std::string classic_bound_text(int bound);

// How many waits took at most each bound: as many numbers as there are bounds. What is above all of them is in count() alone.
std::vector<std::uint64_t> cumulative_counts(const MetricHistogram& histogram, const ClassicBounds& bounds);

// The slowest exemplar of each classic bucket: by the number of its bound; bounds.size() is +Inf. Lifetime: that of `sample`.
std::map<std::size_t, const Exemplar*> classic_exemplars(const MetricSample& sample, const ClassicBounds& bounds);

}  // namespace waitprobe
