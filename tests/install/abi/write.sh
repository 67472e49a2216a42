#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Writes down the ABI of the shared library of a release, for install_test.py: write.sh LIBRARY. Run it once, when the release is made.
set -euo pipefail
library=$(realpath "$1")
cd "$(dirname "$0")"
abidw --headers-dir ../../../include --exported-interfaces-only --no-show-locs --no-corpus-path --no-comp-dir-path --drop-private-types "$library" \
  >libwaitprobe.so.0.x86_64.abi
