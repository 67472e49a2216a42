#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How long the tool takes to begin and to end, beside bpftrace with one probe: begin_end.sh [RUNS]. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh -t waitprobe waitprobe-workload
python3 -B bench/begin_end_table.py build "${1:-15}"
