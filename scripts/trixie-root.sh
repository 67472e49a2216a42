#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes FOLDER the root of a Debian 13 that has PACKAGES, for what Debian 12 is too old for: trixie-root.sh FOLDER PACKAGES... [-- CMD ARGS...]
# As root. Fetches only what is not there; remove the folder to fetch the newest anew. CMD is run outside of it; what it starts with chroot FOLDER
# finds /proc, /sys, /dev, this folder and that of FOLDER under the same names. They are mounted for CMD alone.
set -euo pipefail
root=${1:-}
packages=()
while [ $# -gt 0 ] && shift && [ $# -gt 0 ] && [ "$1" != -- ]; do packages+=("$1"); done
[ $# -eq 0 ] || shift
if [ ${#packages[@]} -eq 0 ]; then
  echo "trixie-root.sh: name a folder and packages: scripts/trixie-root.sh build/trixie bpftrace" >&2
  exit 2
fi
root=$(realpath -m "$root")
log=$root.log
fail() {
  tail -5 "$log" >&2
  echo "trixie-root.sh: cannot $1; $log has all of it" >&2
  exit 1
}
"$(dirname "$0")/debian-root.sh" trixie "$root"
missing=()
for package in "${packages[@]}"; do
  # shellcheck disable=SC2016  # dpkg-query replaces it
  [ "$(chroot "$root" dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "Fetching ${missing[*]} into $root/"
  cp /etc/resolv.conf "$root/etc/"
  chroot "$root" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"' sh "${missing[@]}" \
    >"$log" 2>&1 || fail "install ${missing[*]}"
fi

[ $# -gt 0 ] || exit 0
# shellcheck disable=SC2016  # for the inner shell
exec unshare --mount --propagation private bash -c '
  set -euo pipefail
  root=$1
  shift
  for folder in /proc /sys /dev "$PWD" "$(dirname "$root")"; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
  done
  exec "$@"' bash "$root" "$@"
