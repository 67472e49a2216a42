#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing and builds TARGETS into build/: build.sh [-t] TARGET...; -t: there are targets of tests or benchmarks among them.
# Says no more than that, unless it fails. By clang, unless CC and CXX say otherwise: the BPF programs need it anyway, and GCC takes twice as long.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=build settings=()
if [ "${1:-}" = -t ]; then
  shift
  packages=test settings=(-DWAITPROBE_BUILD_TESTS=ON -DWAITPROBE_BUILD_BENCH=ON)
fi
scripts/install-deps.sh "$packages"
echo "Building into build/"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export CC=${CC:-clang} CXX=${CXX:-clang++}
if ! { cmake -S . -B build -G Ninja "${settings[@]}" && cmake --build build --target "$@"; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
