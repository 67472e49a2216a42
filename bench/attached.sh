#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds what is needed and prints what a wait costs while a tracer looks on, beside other tracers: attached.sh [RUNS]. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
# Only here, to be compared with.
lttng=(liblttng-ust-dev lttng-tools)
for package in "${lttng[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] && continue
  echo "Installing ${lttng[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${lttng[@]}" >/dev/null
  break
done
scripts/build.sh -t waitprobe waitprobe-attached-loop waitprobe-lttng-guard
python3 -B bench/attached_table.py build "${1:-5}"
