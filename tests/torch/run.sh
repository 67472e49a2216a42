#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The waits of real PyTorch: tests/torch/run.sh [-b BUILD]. As root, by hand: where this machine has no PyTorch it fetches Debian 13's (1 GB) into
# BUILD/trixie, and runs it there.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/build-option.sh
. "$(dirname "$0")/../../scripts/build-option.sh"
if [ ! -e "$build/libwaitprobe_torch.so" ]; then
  echo "run.sh: nothing is built in $build: run scripts/test.sh" >&2
  exit 1
fi
WAITPROBE_BUILD=$(realpath "$build")
export WAITPROBE_BUILD

if python3 -c 'import torch.monitor; torch.monitor._WaitCounter' 2>/dev/null; then
  exec python3 -B tests/torch/real_test.py
fi
WAITPROBE_TORCH_ROOT=$WAITPROBE_BUILD/trixie
export WAITPROBE_TORCH_ROOT
# PyTorch, its headers and what code for them is tested with, a compiler (torch.compile wants one too), and what `waitprobe run` needs.
packages=(python3-torch libtorch-dev libgtest-dev libgmock-dev g++ libbpf1 libelf1t64 libdw1t64 libncursesw6 libseccomp2)
exec scripts/trixie-root.sh "$WAITPROBE_TORCH_ROOT" "${packages[@]}" -- python3 -B tests/torch/real_test.py
