#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing and builds TARGETS into build/: build.sh [-t] TARGET...; -t: there are targets of tests or benchmarks among them.
# Prints one line for each step, and the output of a step only if it fails. The compiler is clang unless CC and CXX name another one: the BPF
# programs need clang anyway, and GCC takes twice as long.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=build settings=()
if [ "${1:-}" = -t ]; then
  shift
  packages=test settings=(-DWAITPROBE_BUILD_TESTS=ON -DWAITPROBE_BUILD_BENCH=ON)
fi
scripts/install-deps.sh "$packages"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export CC=${CC:-clang} CXX=${CXX:-clang++}
step() {
  echo "$1"
  shift
  "$@" >"$log" 2>&1 && return
  cat "$log" >&2
  exit 1
}
step "Configuring build/" cmake -S . -B build -G Ninja "${settings[@]}"
step "Building $* in build/ (the first time takes a minute or more)" cmake --build build --target "$@"
