#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a program waits for, by perf alone: a table by key. scripts/perf-waits.sh [-d SECONDS] TARGET
#   -p PID           this process, until it ends or Ctrl-C
#   -f FILE          every process of this program or library, now and later, until Ctrl-C
#   -f FILE -- CMD   start CMD, and trace FILE in it and its children (FILE is CMD, unless that is given as well)
#   -d SECONDS       so long at the most; CMD is ended then, and what it has started may go on
#
# As root. Makes events of the probes in a group of its own in tracefs, records them with perf, and takes them away when it ends, however
# that is (after kill -9: see `grep waitprobe_perf /sys/kernel/tracing/uprobe_events`). Needs `waitprobe` in PATH or in build/, which knows
# the definitions: the semaphore, and the registers that the arguments are in. Costs the traced program a trap for each wait (1 to 2 us),
# and 106 bytes for each in a temporary file, and 4 MiB of memory for each CPU. Count, total and quantiles are exact, unless perf has lost
# some, which is told. Keys longer than 4,000 bytes come out wrong. Exit status: 0 done, 1 failed, 2 wrong usage; that of CMD is not told.
set -euo pipefail

# Nothing is asked for by $(...) before perf runs: bash may lose a Ctrl-C that comes meanwhile.
read -r here < <(realpath "$0")
here=${here%/*}
fail() {
  echo "perf-waits.sh: $1" >&2
  exit "${2:-2}"
}
usage="see the head of scripts/perf-waits.sh"

pid='' file='' seconds=''
while getopts :d:f:p: option; do
  case $option in
    d) [[ $OPTARG =~ ^[0-9]+(\.[0-9]+)?$ && $OPTARG =~ [1-9] ]] || fail "-d takes seconds, more than 0, and not '$OPTARG'" && seconds=$OPTARG ;;
    f) file=$OPTARG ;;
    p) [[ $OPTARG =~ ^[0-9]+$ ]] || fail "-p takes a pid, not '$OPTARG'" && pid=$OPTARG ;;
    *) fail "wrong option -$OPTARG; $usage" ;;
  esac
done
[ "${!OPTIND:-}" = "" ] || [ "${*:OPTIND-1:1}" = -- ] || fail "put -- before the command '${!OPTIND}'; $usage"
shift $((OPTIND - 1))
if [ -n "$pid" ] && [ -n "$file${1:-}" ]; then fail "there is more than one target; $usage"; fi
[ -n "$pid$file${1:-}" ] || fail "there is no target; $usage"
[ $EUID -eq 0 ] || fail "events are made by root only: run it with sudo" 1
command -v perf >/dev/null || fail "there is no perf: apt-get install linux-perf" 1
tool=waitprobe
command -v waitprobe >/dev/null || tool=$here/../build/waitprobe
type -P "$tool" >/dev/null || fail "waitprobe is neither in PATH nor in build/: run scripts/build.sh" 1
if [ $# -gt 0 ]; then
  IFS= read -r command < <(type -P -- "$1") || fail "there is no program '$1'" 1
  file=${file:-$command}
fi
events=/sys/kernel/tracing/uprobe_events
[ -e $events ] || fail "tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing" 1

# A name that no key can guess, so that none can pass for an event.
printf -v group 'waitprobe_perf_%08x%08x' "$SRANDOM" "$SRANDOM"
if [ -n "$pid" ]; then target=(-p "$pid"); else target=(-f "$file"); fi
mapfile -t definitions < <("$tool" tracefs "${target[@]}" --group "$group")
wait $! || exit 1
read -r work < <(mktemp -d)
recorder=''
cleanup() {
  [ -z "$recorder" ] || kill -INT "$recorder" 2>/dev/null || true
  [ -z "$recorder" ] || wait "$recorder" 2>/dev/null || true
  if grep -q "$group/" $events; then echo "-:$group/wait_stop" >>$events; fi
  rm -rf "$work"
}
trap cleanup EXIT
stopped=''
trap 'stopped=1' INT TERM HUP
for definition in "${definitions[@]}"; do # each in a write of its own: the kernel takes what is cut in two for two
  [[ $definition != "p:$group/wait_stop "* ]] || echo "$definition" >>$events ||
    fail "the kernel does not take the events; waitprobe doctor ${target[*]} tells why" 1
done

if [ -n "$pid" ]; then whom=(-p "$pid"); elif [ $# -gt 0 ]; then whom=(); else whom=(-a); fi
if [ $# -gt 0 ]; then
  [ -z "$seconds" ] || set -- timeout --foreground "$seconds" "$@"
  # CMD has our standard error; perf's is read below.
  exec 3>&2
  # shellcheck disable=SC2016  # the inner shell's
  set -- sh -c 'exec "$@" 2>&3 3>&-' sh "$@"
elif [ -n "$seconds" ]; then
  set -- sleep "$seconds"
fi
# perf's own 512 KiB for each CPU hold 7 ms of waits that do nothing else, and perf sleeps longer than that on a busy machine.
perf record -q -m 4M -e "$group:wait_stop" -o "$work/data" "${whom[@]}" ${1:+-- "$@"} <&0 2>"$work/errors" &
recorder=$!
# Told to end, perf ends the recording, and we go on with what it has. It begins with SIGINT ignored, so it is told until it hears. Without `wait`: a
# signal that comes right before it would be seen when perf has ended, and not before. Nothing ever comes from the pipe.
exec {pause}<> <(:)
while kill -0 "$recorder" 2>/dev/null; do
  [ -z "$stopped" ] || kill -INT "$recorder" 2>/dev/null || true
  read -r -t 0.1 -u "$pause" || true
done
recorder=''
trap '' INT TERM HUP
if [ ! -s "$work/data" ]; then
  cat "$work/errors" >&2
  [ -z "$pid" ] || [ -d "/proc/$pid" ] || fail "process $pid has ended" 1
  fail "perf recorded nothing" 1
fi

# Without names of others in it. In the ring, perf is told of a loss by the event that follows it, if one does; since Linux 6.0 the kernel keeps a
# count besides, which perf asks for at the end.
lost=$({
  perf script --show-lost-events -F pid,event -i "$work/data" 2>/dev/null
  perf report --stats -i "$work/data" 2>/dev/null
} | awk -v event="$group:wait_stop stats:" '
  /PERF_RECORD_LOST/ { in_ring += $NF }
  $0 == event { ours = 1 }
  ours && /LOST_SAMPLES events:/ { counted = $NF }
  END { print (in_ring > counted ? in_ring : counted) + 0 }')
# perf follows children; -p does not ask for them. A key may hold line feeds: an event goes up to the next. Then: key, tab, nanoseconds, tab, what names
# this wait, of which perf 6.1 writes one or two in 50,000 twice.
perf script ${pid:+--pid "$pid"} -F pid,event,trace -i "$work/data" 2>/dev/null | LC_ALL=C awk -v begin="^ *[0-9]+ +$group:wait_stop: [(][0-9a-f]+[)] key=\"" '
  function tell() {
    if (!match(event, /" timestamp_ns=[0-9]+ duration_ns=[0-9]+ wait_id=[0-9]+ *$/)) return
    key = substr(event, 1, RSTART - 1)
    # Whatever would not stay in its column: controls, also those of Unicode, and changes of direction.
    gsub(/[\001-\037\177]|\302[\200-\237]|\342\200[\216\217\250-\256]|\342\201[\246-\251]/, "?", key)
    match(event, /timestamp_ns=[0-9]+ duration_ns=[0-9]+ wait_id=[0-9]+ *$/)
    split(substr(event, RSTART), word, / *[a-z_]*=| +/)
    print key "\t" word[3] "\t" pid " " word[2] " " word[4]
  }
  match($0, begin) { first = RLENGTH + 1; tell(); event = substr($0, first); pid = $1; next }
  { event = event "\n" $0 }
  END { tell() }' | LC_ALL=C sort -u -t "$(printf '\t')" -k1,1 -k2,2n -k3 >"$work/waits"
LC_ALL=C awk -F '\t' -v lost="$lost" '
  function duration(ns) {
    if (ns < 1000) return sprintf("%dns", ns)
    if (ns < 1000000) return sprintf("%.3gus", ns / 1000)
    if (ns < 1000000000) return sprintf("%.3gms", ns / 1000000)
    return sprintf("%.4gs", ns / 1000000000)
  }
  function at(part) { return all[int((count - 1) * part) + 1] }
  function row() {
    if (count == 0) return
    printf "%-32s %9d %9s %9s %9s %9s %9s\n", key, count, duration(total), duration(at(0.5)), duration(at(0.9)), duration(at(0.99)), duration(all[count])
  }
  BEGIN { printf "%-32s %9s %9s %9s %9s %9s %9s\n", "key", "count", "total", "p50", "p90", "p99", "max" }
  NR == 1 || $1 "" != key "" { row(); key = $1; count = total = 0 } # as text: 1 and 01 are two keys
  { all[++count] = $2; total += $2; waits++ }
  END {
    row()
    printf "\n%d waits", waits
    if (lost > 0) printf "; perf lost %d more", lost
    printf "\n"
  }' "$work/waits"
