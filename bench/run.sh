#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the benchmarks and prints what a guard costs, and how soon the tool is ready. As root: a tracer is attached.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
cmake -S . -B build -G Ninja -DWAITPROBE_BUILD_BENCH=ON >/dev/null
cmake --build build --target waitprobe waitprobe-bench >/dev/null
exec python3 bench/guard_table.py build
