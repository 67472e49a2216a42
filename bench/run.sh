#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the benchmarks and prints what a guard costs, and how soon the tool is ready. As root: a tracer is attached.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
echo "Building into build/"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S . -B build -G Ninja -DWAITPROBE_BUILD_BENCH=ON && cmake --build build --target waitprobe waitprobe-bench; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
python3 bench/guard_table.py build
