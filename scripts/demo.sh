#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds waitprobe and the demo, and shows what the demo waits for while it compresses DIRECTORY (default: /usr/include).
set -euo pipefail

directory=${1:-/usr/include}
if [ ! -d "$directory" ]; then
  echo "demo.sh: cannot compress $directory: it is not a directory. Usage: scripts/demo.sh [DIRECTORY]" >&2
  exit 2
fi
directory=$(realpath -- "$directory")
cd "$(dirname "$0")/.."

scripts/build.sh waitprobe waitprobe-demo

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "Running: waitprobe hist -- waitprobe-demo $directory"
echo
"${as_root[@]}" build/waitprobe hist -- build/waitprobe-demo "$directory"
