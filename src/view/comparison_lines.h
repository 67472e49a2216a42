// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "src/model/comparison.h"
#include "src/view/emphasis.h"

namespace waitprobe {

struct ComparisonOptions {
  std::vector<std::string> a, b;  // what the sides are, in lines; any bytes
  std::size_t width = 80;
  Colours colours = Colours::no;
};

// Too few intervals on a side, and what to do; empty: there are enough.
std::string too_few_text(const Comparison& comparison);

// Names of figures and verdicts, in text and JSON.
const char* name_of(ComparedFigure figure);
const char* name_of(Verdict verdict);

// "total/s, mean"
std::string names_of(const ComparedFigures& figures);

// "1.23ms"; of the rate "45.6k".
std::string value_text(double value, ComparedFigure figure);

// "+59.5 %"; "x 12.3" when it is many times as much.
std::string change_text(double ratio);

// A block for each key: the figures of both sides, how they changed, between which bounds, and whether that is more than noise.
void print_comparison(std::ostream& out, const Comparison& comparison, const ComparisonOptions& options);

}  // namespace waitprobe
