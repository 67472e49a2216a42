#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the tool itself costs while it shows 1,000 series each second, as `top`, as `hist -i 1` and as `record`: live.sh [SECONDS]. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh -t waitprobe waitprobe-workload
python3 -B bench/live_table.py build "${1:-20}"
