#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests on Debian 13: its compilers, libbpf, bpftrace, perf and Python, on this kernel: scripts/test-trixie.sh [-b BUILD] [CTEST ARGS...]. As root.
# All of the first build but lint and other kernels, which are the same here as there. Its root is BUILD/trixie.tests (4 GB are fetched), entered by
# pivot_root, and keeps what was built; arguments narrow the tests: scripts/test-trixie.sh -- -R matrix.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/build-option.sh
. "$(dirname "$0")/build-option.sh"
mkdir -p "$build"
root=$(realpath "$build")/trixie.tests
scripts/debian-root.sh trixie "$root"
scripts/copy-sources.sh "$root/waitprobe"
# The modules of npm that this machine has, but for npm itself: they are the same.
if modules=$(npm root -g 2>/dev/null) && [ -d "$modules/playwright-core" ]; then
  mkdir -p "$root/usr/local/lib/node_modules"
  find "$modules" -mindepth 1 -maxdepth 1 -not -name npm -not -name corepack -exec cp -a --update -t "$root/usr/local/lib/node_modules" {} +
fi

# shellcheck disable=SC2016  # for the inner shell
exec scripts/debian-enter.sh "$root" bash -c '
  set -euo pipefail
  cd /waitprobe
  mount -t tracefs tracefs /sys/kernel/tracing
  if grep -q :pids: /proc/self/cgroup; then  # version 1
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/pids
    mount -t cgroup -o pids cgroup /sys/fs/cgroup/pids
  else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
  scripts/install-deps.sh test
  echo "Building"
  if ! (cmake -S . -B /build -G Ninja -DWAITPROBE_BUILD_TESTS=ON && cmake --build /build) >/var/log/build 2>&1; then
    cat /var/log/build >&2
    exit 1
  fi
  if grep -i -A3 warning /var/log/build; then exit 1; fi
  exec scripts/run-tests.sh /build -E "^(lint|kernels[.].*)$" "$@"' bash "$@"
