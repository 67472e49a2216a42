// SPDX-License-Identifier: MIT
//
// Whether waits have changed between two recordings, or whether that is only noise.
//
// A recording is cut into batches of equal length, and how much they vary says how sure a figure is:
// - The logarithm of a rate or a mean gets its variance by leaving out one batch after the other: the jackknife over groups
//   (Shao and Tu, "The Jackknife and Bootstrap", Springer 1995, section 2.3).
// - A quantile gets the variance of the share of waits below it, and its bounds are the quantiles of that share's bounds, so
//   that it may lie between two kinds of waits (Woodruff, "Confidence intervals for medians and other position measures",
//   Journal of the American Statistical Association 47, 1952).
// - Batches that follow each other may be alike. Their correlation, corrected for its bias in short series (Kendall, "Note on
// bias in the
//   estimation of autocorrelation", Biometrika 41, 1954), leaves fewer that say something of their own, as in an
//   autoregressive process of first order; so many count for the variance and for Student's t.
// - The bounds of both sides become those of their ratio by the method of variance estimates recovery (Zou and Donner,
// "Construction
//   of confidence limits about effect measures", Statistics in Medicine 27, 2008).
// - All intervals of a comparison hold at once: each is so wide that the chances to miss add up to one in a hundred
// (Bonferroni).
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

enum class Verdict { unknown, no_change, worse, better, more, less };

// A change of one figure. `a`, `b`: each side's value.
struct Change {
  double a = 0;
  double b = 0;
  bool is_known = false;  // whether there is enough on both sides to tell
  double ratio = 1;       // b / a; what follows is there if it is known
  double least_ratio = 1;
  double greatest_ratio = 1;
  Verdict verdict = Verdict::unknown;
};

enum class ComparedFigure { rate, total, mean, p50, p99 };  // a second, ns a second, ns, ns, ns
inline constexpr std::size_t compared_figures = 5;

// Whether it says how long a wait takes, and not how often there is one.
inline bool is_duration(ComparedFigure figure) { return figure >= ComparedFigure::mean; }

struct ComparedKey {
  std::string key;  // any bytes, the first WP_KEY_MAX of them
  std::uint64_t key_len = 0;
  std::uint64_t count_a = 0;  // 0: only B has it
  std::uint64_t count_b = 0;
  std::uint64_t total_a_ns = 0;
  std::uint64_t total_b_ns = 0;
  Change changes[compared_figures];    // by ComparedFigure
  Verdict verdict = Verdict::unknown;  // of durations: worse if any is

  const Change& operator[](ComparedFigure figure) const { return changes[static_cast<std::size_t>(figure)]; }
};

struct ComparedSide {
  std::size_t batches = 0;
  std::uint64_t elapsed_ns = 0;
  Coverage coverage;
};

struct Comparison {
  ComparedSide a;
  ComparedSide b;
  std::vector<ComparedKey> keys;  // the most important first
};

// Compares by key, over all processes. The columns are the batches.
Comparison compare(const History& a, const History& b);

// The figure of durations that got worse, beyond noise, by more than `percent`: the worst of them.
std::optional<ComparedFigure> worsened_beyond(const ComparedKey& key, double percent);

}  // namespace waitprobe
