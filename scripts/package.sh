#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the Debian packages for the Debian that this runs on: scripts/package.sh [FOLDER]. They go to FOLDER (default: build/packages):
# waitprobe, libwaitprobe0, libwaitprobe-dev, libwaitprobe-torch0, and what debuggers want of them. Installs what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/packages}
scripts/install-deps.sh package
version=$(sed -nE 's/^project\(waitprobe VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
mkdir -p "$folder"
folder=$(realpath "$folder")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

source=$work/waitprobe-$version
mkdir "$source"
cp -r CHANGELOG.md CMakeLists.txt LICENSE README.md bpf cmake deploy docs examples include scripts src "$source/"
cp -r packaging/debian "$source/debian"
# The packages are named once, in install-deps.sh.
needed=$(scripts/install-deps.sh build --print | paste -sd, | sed 's/,/, /g')
sed "s/@BUILD_DEPENDS@/$needed/" "$source/debian/control.in" >"$source/debian/control"
rm "$source/debian/control.in"

echo "Building the packages of $version (some minutes)"
if ! (cd "$source" && dpkg-buildpackage --build=binary --no-sign) >"$folder/log" 2>&1; then
  tail -40 "$folder/log" >&2
  echo "package.sh: dpkg-buildpackage failed; $folder/log has all of it" >&2
  exit 1
fi
rm -f "$folder"/*.deb "$folder"/*.buildinfo "$folder"/*.changes
mv "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes "$folder/"
ls "$folder"/*.deb
