#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The first command of the README on a machine that has nothing yet: scripts/test-firstrun.sh [-b BUILD] [SUITE...]; default: bookworm trixie.
# As root. In an empty Debian below BUILD/firstrun, entered by pivot_root, without tracefs, locale or sudo, scripts/demo.sh has to show its table,
# say nothing else, and leave nothing mounted. Packages are fetched before that. Says how long it took, in seconds of the clock and of CPUs.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/build-option.sh
. "$(dirname "$0")/build-option.sh"
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
mkdir -p "$build/firstrun"
build=$(realpath "$build")

fetch_packages() {
  local root=$1
  # shellcheck disable=SC2016  # for the inner shell
  scripts/debian-enter.sh "$root" bash -c '
    cd /waitprobe
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --no-install-recommends --download-only $(scripts/install-deps.sh build --print)
    apt-get install -qq --no-install-recommends --simulate $(scripts/install-deps.sh test --print)' >"$root.log" 2>&1
}

# The demo, in a copy of the root. What it prints, then the times of all that it started.
run_demo() {
  local root=$1
  rm -rf "$root.run"
  cp -a "$root" "$root.run"
  # shellcheck disable=SC2016  # for the inner shell
  scripts/debian-enter.sh "$root.run" bash -c '
    TIMEFORMAT="took %R s; CPUs: %U s in programs, %S s in the kernel"
    cat /proc/self/mountinfo >/before
    time /waitprobe/scripts/demo.sh
    cat /proc/self/mountinfo >/after' >"$root.out" 2>"$root.err" </dev/null
}

judge() {
  local root=$1
  grep -qx '[0-9]* waits in [0-9.]*m\?s, coverage 100 %: none was lost' "$root.out" || { echo "no table" && return 1; }
  ! grep -v '^took ' "$root.err" || { echo "it said the above" && return 1; }
  cmp "$root.run/before" "$root.run/after" || { echo "something is mounted now" && return 1; }
}

status=0
for suite in "${suites[@]}"; do
  root=$build/firstrun/$suite
  scripts/debian-root.sh "$suite" "$root"
  scripts/copy-sources.sh "$root/waitprobe"
  if ! fetch_packages "$root"; then
    tail -5 "$root.log" >&2
    echo "test-firstrun.sh: cannot fetch the packages; $root.log has all of it" >&2
    exit 1
  fi
  echo "$suite:"
  failed=''
  run_demo "$root" || failed='scripts/demo.sh failed'
  cat "$root.out" "$root.err"
  [ -n "$failed" ] || failed=$(judge "$root") || status=1
  if [ -n "$failed" ]; then
    echo "test-firstrun.sh: $suite: $failed" >&2
    status=1
  fi
done
exit $status
