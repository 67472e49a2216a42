#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs one of the bpftrace scripts beside it on a target: scripts/bt.sh TARGET SCRIPT [ARGUMENT...]
#   -p PID    this process, until it ends; its files have to be where they were, without ':' in their paths, and only one may carry the probes
#   -f FILE   every process of this program or library, now and later
#   -a        every process that carries the probes now, and what else runs their files
#   SCRIPT    waithist.bt, waitcount.bt, waitslow.bt, waitopen.bt, waitblame.bt, or a path; its first argument is the target
#
# As root. Ends on Ctrl-C. -a needs `waitprobe` (in PATH or in build/) to find the files. Exit status: that of bpftrace, or 2 for wrong usage.
set -euo pipefail

# Nothing is asked for by $(...) before bpftrace runs: bash may lose a Ctrl-C that comes meanwhile.
read -r here < <(realpath "$0")
here=${here%/*}
fail() {
  echo "bt.sh: $1" >&2
  exit "${2:-2}"
}
# What bpftrace cannot trace by its pid, of which it says nothing that helps: it goes by the paths of the process's files, which it ends at the
# first ':', and reads them under the number of the main thread. Where two files have the same probe, 0.17 puts both into one of them, one in the
# middle of an instruction: that kills the process.
check_process() {
  local path carriers=()
  if grep -q '^State:[[:blank:]]*Z' "/proc/$1/status" 2>/dev/null; then
    fail "the main thread of process $1 has ended, and bpftrace goes by that: name its program or library, -f FILE" 1
  fi
  while IFS= read -r path; do
    grep -zaqx wait_stop "/proc/$1/root$path" 2>/dev/null || continue
    if [[ $path = *:* ]]; then
      fail "bpftrace cannot trace a process by a path with ':' in it, as $path of process $1: name the file, -f FILE, which takes all processes of it" 1
    fi
    carriers+=("$path")
  done < <(sed -n 's,^[0-9a-f]*-[0-9a-f]* ..x[^/]*\(/.*\)$,\1,p' "/proc/$1/maps" 2>/dev/null | sort -u)
  if [ ${#carriers[@]} -gt 1 ]; then
    fail "bpftrace mixes up the files of process $1 that carry the probes (${carriers[*]}), which can kill it: name one, -f FILE, which takes all processes of it" 1
  fi
}
is_file() { [ -f "$1" ] && [ -r "$1" ]; }
usage="see the head of scripts/bt.sh"

options=() files=()
case ${1:-} in
  -p)
    [[ ${2:-} =~ ^[0-9]+$ ]] || fail "-p takes a pid, not '${2:-}'; $usage"
    [ -d "/proc/$2" ] || fail "there is no process $2" 1
    check_process "$2"
    options=(-p "$2")
    shift 2
    ;;
  -f)
    is_file "${2:-}" || fail "cannot read '${2:-}'; name a program or library: -f FILE" 1
    mapfile -t -d '' files < <(realpath -z -- "$2")
    shift 2
    ;;
  -a) shift ;;
  *) fail "there is no target; $usage" ;;
esac
[ $# -gt 0 ] || fail "there is no script; $usage"
script=$1
shift
[ -f "$script" ] || script=$here/$script
is_file "$script" || fail "there is no script '$script'; $usage" 1
if [ "${script##*/}" = waitslow.bt ] && ! [[ ${1:-} =~ ^(1us|10us|100us|1ms|10ms|100ms|1s)$ ]]; then
  fail "waitslow.bt takes a threshold: 1us, 10us, 100us, 1ms, 10ms, 100ms or 1s, and not '${1:-}'"
fi
[ $EUID -eq 0 ] || fail "bpftrace attaches for root only: run it with sudo" 1
command -v bpftrace >/dev/null || fail "there is no bpftrace: apt-get install bpftrace" 1

if [ ${#options[@]} -gt 0 ]; then
  exec bpftrace "${options[@]}" "$script" '*' "$@"
fi
if [ ${#files[@]} -eq 0 ]; then
  tool=waitprobe
  command -v waitprobe >/dev/null || tool=$here/../build/waitprobe
  type -P "$tool" >/dev/null || fail "-a needs waitprobe, which is neither in PATH nor in build/: run scripts/build.sh" 1
  mapfile -t definitions < <("$tool" tracefs -a)
  wait $! || exit 1
  for definition in "${definitions[@]}"; do
    [[ ! $definition =~ ^p:waitprobe/wait_stop\ (.*):0x ]] || files+=("${BASH_REMATCH[1]}")
  done
fi

read -r work < <(TMPDIR=/tmp mktemp -d)
child=''
# shellcheck disable=SC2317  # it is called: by the trap
cleanup() {
  [ -z "$child" ] || kill -INT "$child" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
stopped=''
trap 'stopped=1' INT TERM HUP
# The script with an attach point for each file in the place of the one for $1. The files go by names of ours: theirs are other people's, and
# would be read as a part of the script.
points=()
for file in "${files[@]}"; do
  points+=("usdt:$work/${#points[@]}:")
  ln -s "$file" "$work/$((${#points[@]} - 1))"
done
expanded=$work/${script##*/} found=''
while IFS= read -r line || [ -n "$line" ]; do
  # shellcheck disable=SC2016  # $1 is bpftrace's
  if [[ $line =~ ^[[:blank:]]*'usdt:$1:'(.*)$ ]]; then
    rest=${BASH_REMATCH[1]} line='' found=1
    probe=${rest%%[!A-Za-z0-9_:\$]*}
    for point in "${points[@]}"; do line+="${line:+,}$point$probe"; done
    line+=${rest#"$probe"}
  fi
  echo "$line"
done <"$script" >"$expanded"
[ -n "$found" ] || fail "no line of $script begins with usdt:\$1:, which stands for the target" 1

# What runs in the background begins with SIGINT ignored, so it is told until it hears; once a second, since a second signal, once it has heard the
# first, would keep it from printing. Without `wait`: a signal that comes right before it would be seen when bpftrace has ended, and not before.
# Nothing ever comes from the pipe.
bpftrace "$expanded" '*' "$@" <&0 &
child=$!
exec {pause}<> <(:)
while kill -0 "$child" 2>/dev/null; do
  [ -z "$stopped" ] || kill -INT "$child" 2>/dev/null || true
  read -r -t "${stopped:-0.1}" -u "$pause" || true
done
wait "$child" && status=0 || status=$?
child=''
exit "$status"
