#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every test: unit, end-to-end, sanitizers, lint. Arguments go to ctest: scripts/test.sh -R NAME narrows it. What is run
# by hand alone is named in scripts/run-tests.sh.
# The end-to-end tests attach for real, so this runs as root, or through sudo.
set -euo pipefail

cd "$(dirname "$0")/.."
scripts/install-deps.sh test
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "test.sh: cannot trace: neither root nor sudo. Run as root: scripts/test.sh" >&2
    exit 1
  fi
  exec sudo scripts/test.sh "$@"
fi
# perf and the tests that look for foreign uprobes read it.
[ -e /sys/kernel/tracing/uprobe_events ] || mount -t tracefs tracefs /sys/kernel/tracing

logs=$(mktemp -d)
sanitizers=
trap '[ -z "$sanitizers" ] || kill "$sanitizers" 2>/dev/null; rm -rf "$logs"' EXIT
build() {
  local folder=$1
  local log="$logs/${folder//\//.}"
  shift
  echo "Building into $folder/"
  if ! { cmake -S . -B "$folder" -G Ninja -DWAITPROBE_BUILD_TESTS=ON "${launcher[@]}" "$@" && cmake --build "$folder"; } >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
}
build_sanitizers() {
  # The address one by clang: GCC takes half as long again.
  build build/asan -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DWAITPROBE_SANITIZE=address,undefined -DWAITPROBE_TEST_PREFIX=asan. &&
    build build/tsan -DWAITPROBE_SANITIZE=thread -DWAITPROBE_TEST_PREFIX=tsan. -DWAITPROBE_BUILD_TOOLS=OFF
}
# ccache, where it is installed, makes a second run short.
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi

status=0
run_tests() {
  local folder=$1
  shift
  scripts/run-tests.sh "$folder" --no-tests=ignore "$@" || status=1
}
build build
# Most tests wait most of the time: the other trees are built meanwhile, by what the tests leave of the CPUs.
rm -f build/tests.xml build/asan/tests.xml build/tsan/tests.xml
(renice -n 19 -p "$BASHPID" >/dev/null && build_sanitizers) &
sanitizers=$!
run_tests build "$@"
wait "$sanitizers" || { sanitizers= && exit 1; }
sanitizers=
run_tests build/asan "$@"
run_tests build/tsan "$@"

results=$(cat build/tests.xml build/asan/tests.xml build/tsan/tests.xml 2>/dev/null) || true
if ! grep -q '<testcase ' <<<"$results"; then
  echo "test.sh: no test ran: none matches $*" >&2
  exit 1
fi
echo "The slowest tests, in seconds:"
sed -n 's/.*<testcase name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 \1/p' <<<"$results" | sort -rn | sed -n 1,10p
echo "Tests: $(grep -c '<testcase ' <<<"$results"), failed: $(grep -c '<testcase .*status="fail"' <<<"$results")"
exit $status
