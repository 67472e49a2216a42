#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing and builds TARGETS into build/. Says no more than that, unless it fails: build.sh [-DNAME=VALUE]... TARGET...
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
echo "Building into build/"
settings=()
while [[ ${1:-} == -D* ]]; do
  settings+=("$1")
  shift
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S . -B build -G Ninja "${settings[@]}" && cmake --build build --target "$@"; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
