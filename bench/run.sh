#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the benchmarks and prints what a guard costs, and how soon the tool is ready. As root: a tracer is attached.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh -t waitprobe waitprobe-bench
python3 bench/guard_table.py build
