// SPDX-License-Identifier: MIT
//
// Metrics as text for Prometheus and whoever reads the same formats. Pure functions; safe on any thread.
#pragma once

#include <string>

#include "src/export/classic_buckets.h"
#include "src/model/metrics.h"

namespace waitprobe {

// Prometheus' text format 0.0.4. Histograms are classic, with these bounds; without exemplars, which the format has not.
std::string prometheus_text(const Metrics& metrics, const ClassicBounds& bounds = default_classic_bounds());

// OpenMetrics 1.0.0: besides, units, since when counters and histograms count, and exemplars.
std::string openmetrics(const Metrics& metrics, const ClassicBounds& bounds = default_classic_bounds());

}  // namespace waitprobe
