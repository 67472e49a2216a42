// SPDX-License-Identifier: MIT
#include "src/model/comparison.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <utility>

#include "bpf/bucket.h"

namespace waitprobe {
namespace {

// A figure of fewer is a matter of chance; as is a quantile with fewer waits beyond it.
constexpr double least_waits = 10;
// What is less is less than buckets can tell, or than machines keep steady.
constexpr double least_quantile_change = 1.0625;
constexpr double least_mean_change = 1.02;
constexpr double most_correlation = 0.9;
// With less, Student's t would tell of nothing but changes by orders of magnitude.
constexpr double least_freedom = 2;

// The waits of one key in a batch or several. Counts are signed, so that a batch can be taken out again.
struct Waits {
  std::vector<double> buckets = std::vector<double>(WP_BUCKETS);
  double count = 0;
  double total_ns = 0;
  double elapsed_ns = 0;

  void add(const Waits& other, double sign) {
    for (std::size_t i = 0; i < buckets.size(); i++) buckets[i] += sign * other.buckets[i];
    count += sign * other.count;
    total_ns += sign * other.total_ns;
    elapsed_ns += sign * other.elapsed_ns;
  }
};

// As Histogram::quantile_ns(), but a wait more or less moves it a little and not by a bucket.
double smooth_quantile_ns(const Waits& waits, double q) {
  double rank = q * waits.count;
  for (std::uint32_t i = 0; i < WP_BUCKETS; i++) {
    if (waits.buckets[i] <= 0) continue;
    if (rank > waits.buckets[i]) {
      rank -= waits.buckets[i];
      continue;
    }
    const auto lo = static_cast<double>(wp_bucket_lo(i));
    if (i == WP_BUCKETS - 1) return lo;
    return lo + (static_cast<double>(wp_bucket_hi(i)) - lo) * rank / waits.buckets[i];
  }
  return 0;
}

double value_of(const Waits& waits, ComparedFigure figure) {
  switch (figure) {
    case ComparedFigure::rate:
      return 1e9 * waits.count / waits.elapsed_ns;
    case ComparedFigure::total:
      return 1e9 * waits.total_ns / waits.elapsed_ns;
    case ComparedFigure::mean:
      return waits.total_ns / waits.count;
    case ComparedFigure::p50:
      return smooth_quantile_ns(waits, 0.5);
    case ComparedFigure::p99:
      return smooth_quantile_ns(waits, 0.99);
  }
  return 0;
}

// One key on one side.
struct Side {
  std::vector<Waits> batches;
  Waits all;
  // As they were counted.
  std::uint64_t count = 0;
  std::uint64_t total_ns = 0;

  void add(const SparseHistogram& histogram, std::uint64_t elapsed_ns) {
    Waits batch;
    for (const auto& [index, waits] : histogram.buckets) {
      batch.buckets[index] = static_cast<double>(waits);
      batch.count += static_cast<double>(waits);
      count += waits;
    }
    batch.total_ns = static_cast<double>(histogram.total_ns);
    total_ns += histogram.total_ns;
    batch.elapsed_ns = static_cast<double>(elapsed_ns);
    all.add(batch, 1);
    batches.push_back(std::move(batch));
  }
};

double share_below(const Waits& waits, double ns) {
  double below = 0;
  for (std::uint32_t i = 0; i < WP_BUCKETS; i++) {
    const auto lo = static_cast<double>(wp_bucket_lo(i)), hi = static_cast<double>(wp_bucket_hi(i));
    below += waits.buckets[i] * std::clamp((ns - lo) / (hi - lo), 0.0, 1.0);
  }
  return below;
}

// 0: not a quantile.
double quantile_of(ComparedFigure figure) {
  return figure == ComparedFigure::p50 ? 0.5 : figure == ComparedFigure::p99 ? 0.99 : 0;
}

// What each batch does to the figure: to the logarithm of a mean or a rate, as seen when it is left out; of a quantile, to the
// share of waits below it. Their mean is 0. Empty if there is too little to tell.
std::vector<double> deviations_of(const Side& side, ComparedFigure figure) {
  const auto n = static_cast<double>(side.batches.size());
  const double q = quantile_of(figure);
  if (side.batches.size() < least_batches || side.all.count * (1 - q) < least_waits) return {};
  const double value = value_of(side.all, figure);
  std::vector<double> deviations;
  Waits rest = side.all;
  for (const Waits& batch : side.batches) {
    if (q != 0) {
      deviations.push_back((share_below(batch, value) - q * batch.count) * n / side.all.count);
      continue;
    }
    rest.add(batch, -1);
    deviations.push_back((n - 1) * std::log(value / value_of(rest, figure)));
    rest.add(batch, 1);
  }
  const double mean = std::accumulate(deviations.begin(), deviations.end(), 0.0) / n;
  // Without the one batch that has waits, or with durations of 0 alone, there is no figure.
  if (!std::isfinite(mean)) return {};
  for (double& deviation : deviations) deviation -= mean;
  return deviations;
}

double square_sum(const std::vector<double>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

// How alike batches are that follow each other, on both sides. 0 where they differ more than by chance.
double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double seen = 0;
  for (const std::vector<double>* side : {&a, &b}) {
    const double squares = square_sum(*side);
    if (squares != 0) seen += std::inner_product(side->begin() + 1, side->end(), side->begin(), 0.0) / squares / 2;
  }
  const double n = static_cast<double>(a.size() + b.size()) / 2;
  return std::clamp((seen + 1 / n) / (1 - 4 / n), 0.0, most_correlation);
}

// How far the mean of the deviations may be off; `error`: how likely it is off by more.
double reach_of(const std::vector<double>& deviations, double alike, double error) {
  const auto n = static_cast<double>(deviations.size());
  const double independent = n * (1 - alike) / (1 + alike);
  const double variance = square_sum(deviations) / (n - 1) / independent;
  const boost::math::students_t distribution(std::max(independent - 1, least_freedom));
  return boost::math::quantile(boost::math::complement(distribution, error / 2)) * std::sqrt(variance);
}

// The logarithm of a figure, and how low and how high it may be.
struct Estimate {
  double log_value;
  double least;
  double greatest;

  bool is_known() const { return std::isfinite(log_value) && std::isfinite(least) && std::isfinite(greatest); }
};

Estimate estimate(const Side& side, ComparedFigure figure, double reach) {
  const double q = quantile_of(figure), log_value = std::log(value_of(side.all, figure));
  if (q == 0) return {log_value, log_value - reach, log_value + reach};
  const bool has_bounds = q - reach > 0 && q + reach < 1;
  const auto log_quantile = [&](double at) { return has_bounds ? std::log(smooth_quantile_ns(side.all, at)) : NAN; };
  return {log_value, log_quantile(q - reach), log_quantile(q + reach)};
}

Verdict verdict_of(const Change& change, ComparedFigure figure) {
  const bool is_quantile = figure == ComparedFigure::p50 || figure == ComparedFigure::p99;
  const double least = is_quantile ? least_quantile_change : least_mean_change;
  if (change.least_ratio > 1 && change.ratio >= least) return is_duration(figure) ? Verdict::worse : Verdict::more;
  if (change.greatest_ratio < 1 && change.ratio <= 1 / least) return is_duration(figure) ? Verdict::better : Verdict::less;
  return Verdict::no_change;
}

// `error`: how likely this interval alone may miss.
Change change_of(const Side& a, const Side& b, ComparedFigure figure, double error) {
  Change change;
  if (a.all.count > 0) change.a = value_of(a.all, figure);
  if (b.all.count > 0) change.b = value_of(b.all, figure);
  const std::vector<double> deviations_a = deviations_of(a, figure), deviations_b = deviations_of(b, figure);
  if (deviations_a.empty() || deviations_b.empty()) return change;
  const double alike = correlation(deviations_a, deviations_b);
  const Estimate of_a = estimate(a, figure, reach_of(deviations_a, alike, error));
  const Estimate of_b = estimate(b, figure, reach_of(deviations_b, alike, error));
  if (!of_a.is_known() || !of_b.is_known()) return change;
  const double difference = of_b.log_value - of_a.log_value;
  change.is_known = true;
  change.ratio = std::exp(difference);
  change.least_ratio = std::exp(difference - std::hypot(of_b.log_value - of_b.least, of_a.greatest - of_a.log_value));
  change.greatest_ratio = std::exp(difference + std::hypot(of_b.greatest - of_b.log_value, of_a.log_value - of_a.least));
  change.verdict = verdict_of(change, figure);
  return change;
}

Verdict verdict_of(const ComparedKey& key) {
  Verdict verdict = Verdict::unknown;
  for (const ComparedFigure figure : {ComparedFigure::mean, ComparedFigure::p50, ComparedFigure::p99}) {
    const Verdict of_figure = key[figure].verdict;
    if (of_figure == Verdict::worse) return Verdict::worse;
    if (of_figure == Verdict::better || verdict == Verdict::unknown) verdict = of_figure;
  }
  return verdict;
}

using KeyId = std::pair<std::string, std::uint64_t>;

// The same key on both sides; null where a side does not have it.
struct KeyOfBoth {
  const HistoryKey* a = nullptr;
  const HistoryKey* b = nullptr;
};

std::map<KeyId, KeyOfBoth> pair_keys(const History& a, const History& b) {
  std::map<KeyId, KeyOfBoth> keys;
  for (const HistoryKey& key : a.keys) keys[{key.total.key, key.total.key_len}].a = &key;
  for (const HistoryKey& key : b.keys) keys[{key.total.key, key.total.key_len}].b = &key;
  return keys;
}

// A batch in which the key has no waits is one of its batches as well.
Side side_of(const History& history, const HistoryKey* key) {
  Side side;
  for (std::size_t i = 0; key != nullptr && i < history.columns.size(); i++) {
    side.add(key->columns[i], history.columns[i].elapsed_ns);
  }
  return side;
}

ComparedKey compare_key(const KeyId& id, const Side& a, const Side& b, double error) {
  ComparedKey key;
  key.key = id.first;
  key.key_len = id.second;
  key.count_a = a.count;
  key.count_b = b.count;
  key.total_a_ns = a.total_ns;
  key.total_b_ns = b.total_ns;
  for (std::size_t i = 0; i < compared_figures; i++) key.changes[i] = change_of(a, b, static_cast<ComparedFigure>(i), error);
  key.verdict = verdict_of(key);
  return key;
}

ComparedSide describe(const History& history) {
  return {history.columns.size(), history.total.elapsed_ns, history.total.coverage()};
}

// What matters most: that it changed at all, then by how much time more or less is waited.
std::pair<int, double> importance(const ComparedKey& key) {
  const Change& total = key[ComparedFigure::total];
  const int rank = key.verdict == Verdict::worse       ? 3
                   : key.verdict == Verdict::better    ? 2
                   : key.verdict == Verdict::no_change ? 1
                                                       : 0;
  return {rank, std::abs(total.b - total.a)};
}

}  // namespace

Comparison compare(const History& a, const History& b) {
  const auto keys = pair_keys(a, b);
  const auto both_cnt = std::count_if(keys.begin(), keys.end(),
                                      [](const auto& one) { return one.second.a != nullptr && one.second.b != nullptr; });
  // Each of these keys is as many chances to be wrong as it has figures.
  const auto chances = static_cast<std::size_t>(std::max<std::ptrdiff_t>(1, both_cnt)) * compared_figures;
  const double error = (1 - comparison_confidence) / static_cast<double>(chances);
  Comparison comparison{describe(a), describe(b), {}};
  for (const auto& [id, both] : keys) {
    comparison.keys.push_back(compare_key(id, side_of(a, both.a), side_of(b, both.b), error));
  }
  std::stable_sort(comparison.keys.begin(), comparison.keys.end(),
                   [](const ComparedKey& x, const ComparedKey& y) { return importance(x) > importance(y); });
  return comparison;
}

std::optional<ComparedFigure> worsened_beyond(const ComparedKey& key, double percent) {
  std::optional<ComparedFigure> worst;
  for (const ComparedFigure figure : {ComparedFigure::mean, ComparedFigure::p50, ComparedFigure::p99}) {
    if (key[figure].verdict != Verdict::worse || key[figure].ratio <= 1 + percent / 100) continue;
    if (!worst || key[figure].ratio > key[*worst].ratio) worst = figure;
  }
  return worst;
}

}  // namespace waitprobe
