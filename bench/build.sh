#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds TARGETS for the benchmarks, into build/, and says nothing unless that fails: build.sh TARGET...
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
echo "Building into build/"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S . -B build -G Ninja -DWAITPROBE_BUILD_BENCH=ON && cmake --build build --target "$@"; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
