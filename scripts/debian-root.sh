#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes FOLDER the root of an empty Debian, unless it is there: debian-root.sh SUITE FOLDER [ARCH PACKAGES...]
# SUITE is bookworm (12), trixie (13), ... Of another ARCH, such as arm64, it gets the files of PACKAGES too, and nothing of it is configured.
# As root, with the mirror and the proxies of this machine's own apt, which the new root is given too. Remove the folder to fetch the newest anew.
set -euo pipefail
suite=$1 root=$2 arch=${3:-}
options=()
if [ -n "$arch" ]; then
  packages=${*:4}
  options=(--foreign "--arch=$arch" "--include=${packages// /,}")
fi
[ ! -e "$root/etc/debian_version" ] || exit 0
if ! command -v debootstrap >/dev/null; then
  echo "debian-root.sh: there is no debootstrap: apt-get install debootstrap" >&2
  exit 1
fi
# shellcheck disable=SC2016  # apt-get replaces it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -1)
eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
if [ -n "${http_proxy:-}" ]; then export http_proxy; fi
if [ -n "${https_proxy:-}" ]; then export https_proxy; fi
echo "Fetching $suite into $root/"
rm -rf "$root.new"
mkdir -p "$(dirname "$root")"
if ! debootstrap --variant=minbase "${options[@]}" "$suite" "$root.new" ${mirror:+"$mirror"} >"$root.log" 2>&1; then
  tail -5 "$root.log" >&2
  echo "debian-root.sh: cannot fetch $suite; $root.log has all of it" >&2
  exit 1
fi
if [ -n "$arch" ]; then
  for deb in "$root.new"/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root.new"
  done
  rm -rf "$root.new"/proc # of another machine it is a link to itself
  mkdir "$root.new"/proc
  cp "$root.new"/usr/share/base-passwd/passwd.master "$root.new/etc/passwd"
  cp "$root.new"/usr/share/base-passwd/group.master "$root.new/etc/group"
fi
apt-config dump | grep -iE '^Acquire::(http|https)::Proxy ' >"$root.new/etc/apt/apt.conf.d/90proxy" || true
cp /etc/resolv.conf "$root.new/etc/"
mv "$root.new" "$root"
