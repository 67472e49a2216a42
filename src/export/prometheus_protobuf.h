// SPDX-License-Identifier: MIT
//
// Metrics as protobuf for Prometheus, the one format that has native histograms. Pure functions; safe on any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/export/classic_buckets.h"
#include "src/model/metrics.h"

namespace waitprobe {

struct ProtobufOptions {
  ClassicBounds bounds = default_classic_bounds();  // of the classes of waits of which the slowest is an exemplar
  // Classic buckets besides, for whoever scrapes both. Versions of Prometheus before 2.51 take exemplars from there only.
  bool has_classic_buckets = false;
};

// Messages io.prometheus.client.MetricFamily (prometheus.proto), each behind its length. Histograms are native, of schema 3:
// bucket i of bpf/bucket.h is the one with index i - WP_BUCKET_OF_1S, bit for bit, but for two. Bucket 0, which holds waits of
// 0 ns, is the zero bucket. The last one, for all above 2^13 s, stands as the next one of the schema, which ends at 2^13.125 s.
std::string prometheus_protobuf(const Metrics& metrics, const ProtobufOptions& options = {});

}  // namespace waitprobe
