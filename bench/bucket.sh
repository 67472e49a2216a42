#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the buckets cost that Prometheus and OTLP have too, beside log-linear ones. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh -t waitprobe-bucket-bench
build/waitprobe-bucket-bench
