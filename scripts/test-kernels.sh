#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The end-to-end tests on kernels of Debian, each in a virtual machine: scripts/test-kernels.sh [-b BUILD] [-s] [-t TEST]... [-r ROOT] [KERNEL]...
#   KERNEL    6.1 (Debian 12), 6.12 (Debian 13) or backports (the newest for Debian 13), with the preemption that is its default;
#             or that with another after a colon, such as 6.12:full. Default: 6.1 6.12 6.12:full backports backports:full
#   -t TEST   this test only, such as exact for tests/e2e/exact_test.py, or runtime for those of the library; may be given again. Default:
#             all end-to-end tests that BUILD has, but for those that are slow or compile a lot (matrix, cycles)
#   -s        systemd is the guest's init: for the test service, which installs a unit there
#   -b BUILD  the folder that the project has been built into. Default: build
#   -r ROOT   the root of an arm64 Debian, which has python3, busybox-static and this folder: an arm64 machine, with its kernel and ROOT's files
#
# The machine's files are the guest's, which writes to memory only. qemu emulates the processor, so KVM is not needed, and
# everything takes five to thirty times as long. Kernels are kept in BUILD/kernels; remove a folder there to fetch the newest anew. What
# the guests printed is kept in BUILD/kernels/results. Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail

cd "$(dirname "$0")/.."
declare -A suites=([6.1]=bookworm [6.12]=trixie [backports]=trixie-backports)
build=build tests=() systemd='' arch=amd64 files=/
usage() {
  echo "test-kernels.sh: $1; see the head of scripts/test-kernels.sh" >&2
  exit 2
}
while getopts b:r:st: option; do
  case $option in
    b) build=$OPTARG ;;
    r) arch=arm64 files=$OPTARG ;;
    s) systemd=1 ;;
    t) tests+=("$OPTARG") ;;
    *) usage "wrong option" ;;
  esac
done
shift $((OPTIND - 1))
kernels=("$@")
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12 6.12:full backports backports:full)
for kernel in "${kernels[@]}"; do
  [[ $kernel =~ ^([^:]+)(:[a-z]+)?$ && -n ${suites[${BASH_REMATCH[1]}]:-} ]] || usage "no kernel $kernel"
done
[ -x "$build/waitprobe" ] || usage "nothing is built in $build"
export PATH=$PATH:/usr/sbin:/sbin
emulator=(qemu-system-x86_64 -cpu 'max,la57=off' -M q35) console=ttyS0 parameters='mitigations=off tsc=reliable'
if [ $arch = arm64 ]; then
  emulator=(qemu-system-aarch64 -cpu 'max,pauth-impdef=on' -M 'virt,gic-version=3') console=ttyAMA0 parameters=''
fi
for command in "${emulator[0]}" busybox cpio depmod xz zstd; do
  if ! command -v "$command" >/dev/null; then
    echo "test-kernels.sh: there is no $command: run scripts/install-deps.sh test" >&2
    exit 1
  fi
done
build=$(realpath "$build")

work=$(mktemp -d)
qemu=
# shellcheck disable=SC2317  # it is called: by the trap
cleanup() {
  [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# Boots a kernel: boot FOLDER COMMAND-LINE RESULTS DEADLINE. The console goes to RESULTS/console.
boot() {
  local folder=$1 line=$2 results=$3 deadline=$4 root=$work/root
  rm -rf "$root"
  mkdir -p "$root"/{bin,proc,dev,host,over,new}
  cp -r "$folder/modules" "$root/modules"
  cp "$files/bin/busybox" "$root/bin/busybox"
  cp scripts/kernels/init.sh "$root/init"
  (cd "$root" && find . | cpio --quiet -o -H newc) >"$work/initramfs"
  # panic=-1 and -no-reboot: qemu ends when the kernel panics, and when a CPU has been stuck for two minutes.
  timeout -k 5 "$deadline" "${emulator[@]}" -accel tcg,thread=multi -smp 2 -m 5G \
    -nodefaults -no-user-config -display none -no-reboot -serial "file:$results/console" \
    -kernel "$folder/vmlinux" -initrd "$work/initramfs" \
    -append "console=$console loglevel=5 panic=-1 softlockup_panic=1 watchdog_thresh=60 $parameters $line" \
    -fsdev "local,id=root,path=$files,security_model=none,multidevs=remap,readonly=on" -device virtio-9p-pci,fsdev=root,mount_tag=root \
    -fsdev "local,id=results,path=$results,security_model=none" -device virtio-9p-pci,fsdev=results,mount_tag=results \
    >"$results/qemu" 2>&1 </dev/null &
  qemu=$!
  local status=0
  wait "$qemu" || status=$?
  qemu=
  return $status
}

# What a test came to: pass, skipped (all of it) or FAIL.
verdict() {
  local status=$1 log=$2 ran skipped
  [ "$status" -eq 0 ] || { echo FAIL; return; }
  ran=$(sed -nE 's/^Ran ([0-9]+) tests?.*/\1/p' "$log" | tail -n 1)
  skipped=$(sed -nE 's/^OK \(skipped=([0-9]+)\)$/\1/p' "$log" | tail -n 1)
  if [ -n "$skipped" ] && [ "$skipped" = "$ran" ]; then echo skipped; else echo pass; fi
}

failed=0 columns=() heads=() names=()
declare -A cells
# What is wrong goes to stdout with what it is wrong about; the table comes last.
complain() {
  failed=1
  echo "--- $1: $2"
  [ ! -s "${3:-}" ] || tail -n "${4:-60}" "$3" | sed 's/\r$//; s/^/    /'
}

for kernel in "${kernels[@]}"; do
  suite=${suites[${kernel%%:*}]} preempt=
  [[ $kernel != *:* ]] || preempt=${kernel#*:}
  folder=$build/kernels/$suite
  [ $arch = amd64 ] || folder+=.$arch
  results=$build/kernels/results/${kernel/:/-}
  scripts/kernels/fetch.sh "$suite" "$folder" "$arch" || exit 1
  begin=$SECONDS
  for attempt in 1 2 3; do
    rm -rf "$results"
    mkdir -p "$results"
    python3 -B scripts/kernels/tests.py "$build" "$results" "${tests[@]}" || exit 1
    cp scripts/kernels/guest.sh "$results/guest.sh"
    [ -z "$systemd" ] || touch "$results/systemd"
    mapfile -t names < <(cut -d' ' -f1 "$results/tests")
    deadline=$(awk '{ sum += $2 } END { print sum + 120 }' "$results/tests")

    echo "Booting $(cat "$folder/release")${preempt:+ with preempt=$preempt} for ${names[*]}"
    status=0
    boot "$folder" "${preempt:+preempt=$preempt}" "$results" "$deadline" || status=$?
    # A kernel that patches itself (jump labels: perf and tracepoints turn them) writes an int3 first. Emulation by several threads has
    # been seen to execute that int3 once more when it had long been replaced, and to stay for ever at the jump that replaced it, which
    # no processor does and no kernel survives.
    if [ "$attempt" -lt 3 ] && grep -aqE 'Oops: int3|Kernel panic.*softlockup' "$results/console"; then
      echo "--- $kernel: the emulated processor did not get over an instruction that the kernel had replaced; once more"
      continue
    fi
    break
  done
  columns+=("$kernel")
  chosen=$(cat "$results/preemption" 2>/dev/null || true)
  heads+=("$(sed "s/-$arch$//" "$folder/release")${chosen:+ $chosen}")

  kernel_result=pass
  if [ ! -e "$results/dmesg" ]; then
    kernel_result=FAIL
    why="the guest ended before it was done (qemu: status $status)"
    [ "$status" -ne 124 ] || why="the guest was not done within $deadline s"
    [ ! -s "$results/qemu" ] || complain "$kernel" "qemu said" "$results/qemu"
    complain "$kernel" "$why; the end of its console" "$results/console"
  elif [ -n "$preempt" ] && [ "$chosen" != "$preempt" ]; then
    kernel_result=FAIL
    complain "$kernel" "it does not have preempt=$preempt, but ${chosen:-no choice}"
  fi
  # Not what an emulated processor that is shared with others may bring about: stalls and clocks.
  splats='BUG:|Oops|WARNING: .* at |general protection|Kernel panic|INFO: task .* blocked'
  cat "$results/console" "$results/dmesg" 2>/dev/null | tr -d '\r' | grep -aE "$splats" | grep -avE 'soft lockup|clocksource' |
    sort -u >"$work/splats" || true
  if [ -s "$work/splats" ]; then
    kernel_result=FAIL
    complain "$kernel" "its log complains; more in $results" "$work/splats"
  fi
  cells[kernel,$kernel]="$kernel_result $((SECONDS - begin)) s"

  for name in "${names[@]}"; do
    if [ ! -e "$results/$name.result" ]; then
      cells[$name,$kernel]="FAIL (no end)"
      complain "$kernel" "$name did not end" "$results/$name.log"
      continue
    fi
    read -r status seconds <"$results/$name.result"
    result=$(verdict "$status" "$results/$name.log")
    cells[$name,$kernel]="$result $seconds s"
    echo "$name: $result, $seconds s"
    [ "$result" != FAIL ] || complain "$kernel" "$name failed with status $status after $seconds s; all of it in $results/$name.log" \
      "$results/$name.log" 100
    grep -a "\.\.\. skipped" "$results/$name.log" | sed "s/^/--- $kernel: /" || true
  done
done

row() {
  printf '%-10s' "$1"
  shift
  printf ' | %-24s' "$@"
  echo
}
echo
row "" "${heads[@]}"
for name in "${names[@]}" kernel; do
  line=()
  for kernel in "${columns[@]}"; do
    line+=("${cells[$name,$kernel]}")
  done
  row "$name" "${line[@]}"
done
exit $failed
