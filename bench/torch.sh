#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a guard of PyTorch's costs by itself, with libwaitprobe_torch.so while nobody listens, and with a tracer. As root: it fetches Debian 13's PyTorch (1 GB)
# into build/trixie and attaches tracers.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh waitprobe waitprobe_torch
# shellcheck disable=SC2016  # for the inner shell
exec scripts/trixie-root.sh build/trixie python3-torch libtorch-dev g++ -- bash -c '
  set -euo pipefail
  chroot build/trixie g++ -std=c++17 -O2 "$PWD/bench/torch_guard.cpp" -o "$PWD/build/torch_guard" -lc10
  exec python3 -B bench/torch_table.py build build/trixie'
