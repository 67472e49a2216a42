#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests of a tree that is built, but for those that are run by hand: scripts/run-tests.sh BUILD [CTEST ARGS...]
# Writes BUILD/tests.xml. Exit status: that of ctest.
set -euo pipefail
build=$1
shift
exec ctest --test-dir "$build" -j "$(nproc)" --resource-spec-file "$(realpath "$build")/places.json" --output-on-failure --output-junit tests.xml \
  -LE 'slow|trixie|arm64|torch|firstrun|packages|static' "$@"
