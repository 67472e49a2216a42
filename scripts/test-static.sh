#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tool as one file, where nothing else is: scripts/test-static.sh [-b BUILD] [SUITE...]; default: busybox bullseye bookworm trixie sid.
# As root. Built with WAITPROBE_STATIC into BUILD/static, and run in a root that has busybox alone, and in empty ones of Debian 11, 12, 13 and
# sid, without descriptions of terminals and under several locales. Says how large it is.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/build-option.sh
. "$(dirname "$0")/build-option.sh"
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(busybox bullseye bookworm trixie sid)
mkdir -p "$build/static"
build=$(realpath "$build/static")

echo "Building into $build"
if ! { cmake -S . -B "$build" -G Ninja -DWAITPROBE_STATIC=ON && cmake --build "$build" --target waitprobe waitprobe_static; } >"$build/log" 2>&1; then
  tail -20 "$build/log" >&2
  exit 1
fi
files=$build/files
rm -rf "$files"
mkdir "$files"
cp tests/static/user.sh "$files/"
strip -o "$files/waitprobe" "$build/waitprobe"
g++ -std=c++17 -O2 -static -Iinclude tests/packages/guard.cpp "$build/libwaitprobe.a" -o "$files/guard"
echo "$(stat -c %s "$files/waitprobe") bytes, stripped"

for suite in "${suites[@]}"; do
  root=$build/$suite
  if [ "$suite" = busybox ]; then
    rm -rf "$root"
    mkdir -p "$root"/{bin,usr/bin,proc,sys,dev,tmp}
    cp "$(command -v busybox)" "$root/bin/"
    for name in sh cat grep sed tail umount; do ln -s /bin/busybox "$root/bin/$name"; done
    ln -s /bin/busybox "$root/usr/bin/env"
  else
    scripts/debian-root.sh "$suite" "$root"
    rm -rf "$root"/{etc,lib,usr/share,usr/lib}/terminfo
  fi
  cp "$files"/* "$root/"
  echo "$suite:"
  scripts/debian-enter.sh "$root" sh /user.sh
done
