#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `waitprobe serve` costs over 100 processes and 1,000 series while it is scraped every 5 s: agent.sh [SECONDS]. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh -t waitprobe waitprobe-workload
python3 -B bench/agent_table.py build "${1:-60}"
