#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How soon `waitprobe stuck` answers about 1,000 threads in an open wait each, and what it costs a guard to be tracked: stuck.sh [RUNS].
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh -t waitprobe waitprobe-open-waits waitprobe-attached-loop
python3 -B bench/stuck_table.py build "${1:-5}"
