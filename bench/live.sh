#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the tool itself costs while it shows 1,000 series each second, as `top` and as `hist -i 1`: live.sh [SECONDS]. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
echo "Building into build/"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S . -B build -G Ninja && cmake --build build --target waitprobe waitprobe-workload; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
python3 -B bench/live_table.py build "${1:-20}"
