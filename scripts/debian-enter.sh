#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs words in the root of another Debian (debian-root.sh), which has mounts of its own and nothing of this machine's environment:
# debian-enter.sh FOLDER WORDS... As root. By pivot_root and not chroot, under which unshare and such do not work.
set -euo pipefail
# shellcheck disable=SC2016  # for the inner shell
exec unshare --mount --propagation private bash -c '
  set -euo pipefail
  cd "$1"
  shift
  mount --bind . .
  cd "$PWD" # into what was mounted
  mount -t proc proc proc
  mount -t sysfs sysfs sys # anew, so that nothing is mounted below it
  mount --rbind /dev dev
  pivot_root . .
  umount -l .
  cd /
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"' bash "$@"
