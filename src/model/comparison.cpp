// SPDX-License-Identifier: MIT
#include "src/model/comparison.h"

#include <algorithm>
#include <boost/math/distributions/hypergeometric.hpp>
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
constexpr double least_quantile_change = 1.0906;  // just more than a bucket
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
  std::size_t used_batches = 0;  // those that have waits
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
    if (batch.count > 0) used_batches++;
    all.add(batch, 1);
    batches.push_back(std::move(batch));
  }
};

double share_below(const Waits& waits, double ns) {
  double below = 0;
  for (std::uint32_t i = 0; i < WP_BUCKETS; i++) {
    if (waits.buckets[i] == 0) continue;  // its width may be 0
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
  if (side.used_batches < least_batches || side.all.count * (1 - q) < least_waits) return {};
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
  const bool is_rate = figure == ComparedFigure::rate;
  if (change.least_ratio > 1 && change.ratio >= least) return is_rate ? Verdict::more : Verdict::worse;
  if (change.greatest_ratio < 1 && change.ratio <= 1 / least) return is_rate ? Verdict::less : Verdict::better;
  return Verdict::no_change;
}

// What each batch does to the time that is waited in a second. Their mean is 0.
std::vector<double> deviations_of_total(const Side& side) {
  const double rate = value_of(side.all, ComparedFigure::total);
  const double batch_ns = side.all.elapsed_ns / static_cast<double>(side.batches.size());
  std::vector<double> deviations;
  for (const Waits& batch : side.batches) {
    deviations.push_back((1e9 * batch.total_ns - rate * batch.elapsed_ns) / batch_ns);
  }
  return deviations;
}

// How likely it is that `less` has waits in so few of its batches, and `more` in all the others that have any, if it were
// chance alone who has them: Fisher's exact test. Shorter batches hold waits less often, and count for less.
double chance_of_absence(const Side& more, const Side& less) {
  const double longer = more.all.elapsed_ns / static_cast<double>(more.batches.size());
  const auto batches =
      static_cast<std::size_t>(std::min(static_cast<double>(less.batches.size()), less.all.elapsed_ns / longer * (1 + 1e-9)));
  const std::size_t used = more.used_batches + less.used_batches, all = more.batches.size() + batches;
  if (batches < std::max<std::size_t>(1, less.used_batches)) return 1;
  const boost::math::hypergeometric distribution(static_cast<unsigned>(used), static_cast<unsigned>(batches),
                                                 static_cast<unsigned>(all));
  return boost::math::cdf(distribution, static_cast<unsigned>(less.used_batches));
}

// Whether `more` is more than `less` by more than noise, where `less` has hardly any waits, or none.
bool is_beyond_noise(const Side& more, const Side& less, double error) {
  if (std::min(more.batches.size(), less.batches.size()) < least_batches || more.all.count < least_waits) return false;
  if (less.used_batches < least_batches && chance_of_absence(more, less) > error / 2) return false;
  const std::vector<double> deviations = deviations_of_total(more), of_less = deviations_of_total(less);
  const double alike = correlation(deviations, deviations);
  const double difference = value_of(more.all, ComparedFigure::total) - value_of(less.all, ComparedFigure::total);
  return difference > std::hypot(reach_of(deviations, alike, error), reach_of(of_less, alike, error));
}

// Of the totals, where there is no ratio.
void judge_difference(Change& change, const Side& a, const Side& b, double error) {
  const bool is_more = change.b > change.a;
  const double less = std::min(change.a, change.b), more = std::max(change.a, change.b);
  if (more < less * least_mean_change || !is_beyond_noise(is_more ? b : a, is_more ? a : b, error)) return;
  change.ratio = change.b / change.a;
  change.verdict = is_more ? Verdict::worse : Verdict::better;
}

// `error`: how likely this interval alone may miss.
Change change_of_ratio(const Side& a, const Side& b, ComparedFigure figure, double error) {
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

Change change_of(const Side& a, const Side& b, ComparedFigure figure, double error) {
  Change change = change_of_ratio(a, b, figure, error);
  if (!change.is_known && figure == ComparedFigure::total) judge_difference(change, a, b, error);
  return change;
}

Verdict verdict_of(const ComparedKey& key) {
  if (key.count_a == 0) return Verdict::is_new;
  if (key.count_b == 0) return Verdict::is_gone;
  Verdict verdict = Verdict::unknown;
  for (const ComparedFigure figure : judged_figures) {
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

  KeyClass key_class() const {
    if (a == nullptr || b == nullptr) return (a != nullptr ? a : b)->total.key_class;
    return common_class(a->total.key_class, b->total.key_class);
  }
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
  for (std::size_t i = 0; i < history.columns.size(); i++) {
    side.add(key != nullptr ? key->columns[i] : SparseHistogram(), history.columns[i].elapsed_ns);
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
  const Snapshot& total = history.total;
  return {history.columns.size(), total.elapsed_ns, total.coverage(), total.never_ended_cnt(), total.caveats};
}

double change_of_total(const ComparedKey& key) {
  const Change& total = key[ComparedFigure::total];
  return std::abs(total.b - total.a);
}

}  // namespace

Comparison compare(const History& a, const History& b) {
  const auto keys = pair_keys(a, b);
  // Each key is as many chances to be wrong as it has figures: one that is new or gone has its total.
  std::size_t chances = 0;
  for (const auto& [id, both] : keys) chances += both.a != nullptr && both.b != nullptr ? compared_figures : 1;
  const double error = (1 - comparison_confidence) / static_cast<double>(std::max<std::size_t>(chances, 1));
  Comparison comparison{describe(a), describe(b), {}};
  for (const auto& [id, both] : keys) {
    comparison.keys.push_back(compare_key(id, side_of(a, both.a), side_of(b, both.b), error));
    comparison.keys.back().key_class = both.key_class();
  }
  std::stable_sort(comparison.keys.begin(), comparison.keys.end(), [](const ComparedKey& x, const ComparedKey& y) {
    return x.key_class != y.key_class ? x.key_class < y.key_class : change_of_total(x) > change_of_total(y);
  });
  return comparison;
}

ComparedFigures ComparedKey::figures_with(Verdict wanted) const {
  ComparedFigures found;
  for (const ComparedFigure figure : judged_figures) {
    if ((*this)[figure].verdict == wanted) found.push_back(figure);
  }
  return found;
}

bool is_judged(const ComparedKey& key, const ComparedFigures& figures) {
  return std::any_of(figures.begin(), figures.end(),
                     [&](ComparedFigure figure) { return key[figure].verdict != Verdict::unknown; });
}

std::optional<ComparedFigure> worsened_beyond(const ComparedKey& key, double percent, const ComparedFigures& figures) {
  std::optional<ComparedFigure> worst;
  for (const ComparedFigure figure : figures) {
    if (key[figure].verdict != Verdict::worse || key[figure].ratio <= 1 + percent / 100) continue;
    if (!worst || key[figure].ratio > key[*worst].ratio) worst = figure;
  }
  return worst;
}

}  // namespace waitprobe
