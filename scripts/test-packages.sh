#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Debian packages, from their source to a machine that has nothing else: scripts/test-packages.sh [-b BUILD] [SUITE...]; default: bookworm trixie.
# As root. Below BUILD/packages, entered by pivot_root: built in one root, checked by lintian, and installed into an empty one, in which the tool
# has to run, a program to be built against them and to be traced, and the library alone to be built from source with nothing but a compiler.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/build-option.sh
. "$(dirname "$0")/build-option.sh"
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
mkdir -p "$build/packages"
build=$(realpath "$build")

for suite in "${suites[@]}"; do
  empty=$build/packages/$suite.empty builder=$build/packages/$suite.builder user=$build/packages/$suite.user
  scripts/debian-root.sh "$suite" "$empty"
  [ -e "$builder" ] || cp -a "$empty" "$builder"
  scripts/copy-sources.sh "$builder/waitprobe"
  echo "$suite: building"
  scripts/debian-enter.sh "$builder" bash -c 'cd /waitprobe && scripts/package.sh /packages'
  echo "$suite: lintian"
  scripts/debian-enter.sh "$builder" bash -c 'lintian --allow-root --fail-on error,warning --suppress-tags bad-distribution-in-changes-file /packages/*.changes'

  echo "$suite: installed into an empty root"
  rm -rf "$user"
  cp -a "$empty" "$user"
  mkdir "$user/packages"
  cp "$builder"/packages/*.deb "$user/packages/"
  rm -f "$user"/packages/*-dbgsym_*.deb
  cp -r tests/packages "$user/test"
  cp -r "$builder/waitprobe" "$user/waitprobe"
  scripts/debian-enter.sh "$user" bash /test/user.sh
done
