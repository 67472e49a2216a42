#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How soon `waitprobe stuck` answers about 1,000 threads in an open wait each, and what it costs a guard to be tracked: stuck.sh [RUNS].
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
echo "Building into build/"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S . -B build -G Ninja -DWAITPROBE_BUILD_BENCH=ON &&
  cmake --build build --target waitprobe waitprobe-open-waits waitprobe-attached-loop; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
python3 -B bench/stuck_table.py build "${1:-5}"
