#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs one of the bpftrace scripts beside it on a target: scripts/bt.sh TARGET SCRIPT [ARGUMENT...]
#   -p PID    this process, until it ends
#   -f FILE   every process of this program or library, now and later
#   -a        every process that carries the probes now, and what else runs their files
#   SCRIPT    waithist.bt, waitcount.bt, waitslow.bt, waitopen.bt, waitblame.bt, or a path; its first argument is the target
#
# As root. Ends on Ctrl-C. -a needs `waitprobe` (in PATH or in build/) to find the files. Exit status: that of bpftrace, or 2 for wrong usage.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
fail() {
  echo "bt.sh: $1" >&2
  exit "${2:-2}"
}
usage="see the head of scripts/bt.sh"

options=() file='*' all=
case ${1:-} in
  -p)
    [[ ${2:-} =~ ^[0-9]+$ ]] || fail "-p takes a pid, not '${2:-}'; $usage"
    [ -d "/proc/$2" ] || fail "there is no process $2" 1
    options=(-p "$2")
    shift 2
    ;;
  -f)
    [ -r "${2:-}" ] || fail "cannot read '${2:-}'; name a program or library: -f FILE" 1
    file=$(realpath "$2")
    shift 2
    ;;
  -a) all=1 && shift ;;
  *) fail "there is no target; $usage" ;;
esac
[ $# -gt 0 ] || fail "there is no script; $usage"
script=$1
shift
[ -e "$script" ] || script=$here/$script
[ -r "$script" ] || fail "there is no script '$script'; $usage" 1
[ "$(id -u)" -eq 0 ] || fail "bpftrace attaches for root only: run it with sudo" 1
command -v bpftrace >/dev/null || fail "there is no bpftrace: apt-get install bpftrace" 1

if [ -n "$all" ]; then
  tool=$(command -v waitprobe || echo "$here/../build/waitprobe")
  [ -x "$tool" ] || fail "-a needs waitprobe, which is neither in PATH nor in build/: run scripts/build.sh" 1
  definitions=$("$tool" tracefs -a)
  mapfile -t files < <(sed -n 's,^p:waitprobe/wait_stop \(.*\):0x.*,\1,p' <<<"$definitions")
  # An attach point for each file, in the place of the one for $1.
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  expanded=$work/$(basename "$script")
  trap '' INT # bpftrace gets it as well, and ends with its results
  while IFS= read -r line; do
    # shellcheck disable=SC2016  # $1 is bpftrace's
    if [[ $line == 'usdt:$1:'* ]]; then
      points=$(printf "usdt:%s:${line#'usdt:$1:'}," "${files[@]}")
      line=${points%,}
    fi
    printf '%s\n' "$line"
  done <"$script" >"$expanded"
  bpftrace "$expanded" '*' "$@"
  exit
fi
exec bpftrace "${options[@]}" "$script" "$file" "$@"
