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

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "demo.sh: cannot trace: neither root nor sudo. Run as root: scripts/demo.sh" >&2
    exit 1
  fi
  as_root=(sudo)
fi
scripts/build.sh waitprobe waitprobe-demo

echo "Running: waitprobe hist -- waitprobe-demo $directory"
echo
"${as_root[@]}" build/waitprobe hist -- build/waitprobe-demo "$directory"
echo
echo "Next: scripts/stories.sh starts three programs with a problem to find; build/waitprobe help lists the commands."
