#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds waitprobe and the three programs of docs/stories.md, and runs these until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
stories=(pool lock hang)
scripts/build.sh waitprobe "${stories[@]/#/waitprobe-story-}"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
for story in "${stories[@]}"; do
  WAITPROBE_TRACK=1 "build/waitprobe-story-$story" &
  pids+=($!)
done
cat <<END
Running until Ctrl-C. In another terminal, as root:
  build/waitprobe hist -p ${pids[0]} -d 5
  build/waitprobe slow -p ${pids[1]} --min 5ms --stack -n 2
  build/waitprobe stuck -p ${pids[2]} --older 1s --stack
END
wait
