// SPDX-License-Identifier: MIT
//
// Decides whether waits have changed between two recordings by more than noise.
//
// A recording is cut into batches of equal length; the variation between batches gives the uncertainty of a figure:
// - Rates and means: the variance of their logarithm comes from the jackknife over groups, which leaves out one batch at a time
//   (Shao and Tu, "The Jackknife and Bootstrap", Springer 1995, section 2.3).
// - Quantiles: the variance is that of the share of waits below the quantile. Its bounds are the quantiles at the bounds of that
//   share, so they may lie between two kinds of waits (Woodruff, "Confidence intervals for medians and other position measures",
//   Journal of the American Statistical Association 47, 1952).
// - Correlation: successive batches may be alike. Their correlation, corrected for its bias in short series (Kendall, "Note on
//   bias in the estimation of autocorrelation", Biometrika 41, 1954), reduces the number of independent batches, as in an
//   autoregressive process of first order. Variance and Student's t use that number.
// - Ratios: the method of variance estimates recovery combines the bounds of both sides (Zou and Donner, "Construction of
//   confidence limits about effect measures", Statistics in Medicine 27, 2008).
// - Few waits: where one side has hardly any waits of a key, there is no ratio. Then the difference of the totals must exceed
//   the noise of the batches, and Fisher's exact test must reject that the batches with waits are on one side by chance.
// - Several comparisons: all intervals hold together. Each is wide enough that the probabilities to miss add up to one in a
//   hundred (Bonferroni).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/model/history.h"

namespace waitprobe {

// With no change at all, one comparison in a hundred shows one.
inline constexpr double comparison_confidence = 0.99;
// Fewer batches say nothing about noise, and more say little more.
inline constexpr std::size_t least_batches = 5, most_batches = 30;

enum class Verdict { unknown, no_change, worse, better, more, less, is_new, is_gone };

// A change of one figure. `a`, `b`: each side's value.
struct Change {
  double a = 0;
  double b = 0;
  bool is_known = false;  // whether there is enough on both sides to tell
  double ratio = 1;       // b / a; what follows is there if it is known
  double least_ratio = 1;
  double greatest_ratio = 1;
  // Of a total it may be there without an interval: one side has waits, and the other has none or hardly any.
  Verdict verdict = Verdict::unknown;
};

enum class ComparedFigure { rate, total, mean, p50, p99 };  // a second, ns a second, ns, ns, ns
inline constexpr std::size_t compared_figures = 5;

using ComparedFigures = std::vector<ComparedFigure>;

// Those that are better or worse, in order of what a user loses: all but the rate, which is only more or less.
inline const ComparedFigures judged_figures = {ComparedFigure::total, ComparedFigure::mean, ComparedFigure::p50,
                                               ComparedFigure::p99};

struct ComparedKey {
  std::string key;  // any bytes, the first WP_KEY_MAX of them
  std::uint64_t key_len = 0;
  KeyClass key_class = KeyClass::wait;
  std::uint64_t count_a = 0;  // 0: only B has it
  std::uint64_t count_b = 0;
  std::uint64_t total_a_ns = 0;
  std::uint64_t total_b_ns = 0;
  Change changes[compared_figures];  // by ComparedFigure
  // Of judged_figures: worse if any is, better if any is and none is worse. New or gone where one side alone has the key;
  // whether that is beyond noise, the verdict of its total says.
  Verdict verdict = Verdict::unknown;

  const Change& operator[](ComparedFigure figure) const { return changes[static_cast<std::size_t>(figure)]; }
  // Which of judged_figures have this verdict.
  ComparedFigures figures_with(Verdict wanted) const;
};

struct ComparedSide {
  std::size_t batches = 0;
  std::uint64_t elapsed_ns = 0;
  Coverage coverage;
  std::uint64_t never_ended_cnt = 0;  // waits that are in no figure, since they were abandoned
  Caveats caveats;

  // Nothing is told of noise then, whatever is on the other side.
  bool has_too_few() const { return batches < least_batches; }
};

struct Comparison {
  ComparedSide a;
  ComparedSide b;
  std::vector<ComparedKey> keys;  // by class, then by how much the total a second has changed, either way
};

// Compares by key, over all processes. The columns are the batches.
Comparison compare(const History& a, const History& b);

// Whether any of these figures has a verdict.
bool is_judged(const ComparedKey& key, const ComparedFigures& figures);

// Which of the figures got worse, beyond noise, by more than `percent`: the worst of them. What a new key adds to the total is
// more than any percentage of nothing.
std::optional<ComparedFigure> worsened_beyond(const ComparedKey& key, double percent,
                                              const ComparedFigures& figures = judged_figures);

}  // namespace waitprobe
