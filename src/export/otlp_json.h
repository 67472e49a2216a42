// SPDX-License-Identifier: MIT
//
// Metrics for whoever receives OpenTelemetry's protocol. Pure functions; safe on any thread.
#pragma once

#include <string>
#include <string_view>

#include "src/export/classic_buckets.h"
#include "src/model/metrics.h"

namespace waitprobe {

struct OtlpResource {
  std::string_view host_name;  // any bytes; empty: not known
  std::string_view version;    // of waitprobe
};

// One ExportMetricsServiceRequest in the JSON encoding of OTLP/HTTP (POST, application/json). All is cumulative. Histograms are
// exponential ones of scale 3: bucket i of bpf/bucket.h has index i - WP_BUCKET_OF_1S - 1, because OTLP counts from the lower
// bounds; bucket 0 is the zero count, and the last one is treated as in prometheus_protobuf(). Exemplars are the slowest wait of
// each of the buckets that `bounds` make.
// The names are those for Prometheus, and units are such that Prometheus' own receiver gives the series the same names again.
std::string otlp_json(const Metrics& metrics, const OtlpResource& resource,
                      const ClassicBounds& bounds = default_classic_bounds());

}  // namespace waitprobe
