#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The library and the tool on arm64: scripts/test-arm64.sh [-b BUILD] [-t TEST]... As root.
# Cross-compiled in a Debian 12 (3 GB are fetched) with its libraries for arm64. The tests of the runtime run by qemu-user, but for those of forks
# (its madvise() does nothing), of other processes (it starts none) and of ptrace(). All of them, and end-to-end tests, run on an emulated machine with
# Debian's kernel for arm64; -t: as of test-kernels.sh, default: runtime, exact, slow, stuck, bpftrace. All of that is kept below BUILD/arm64.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build tests=()
while getopts b:t: option; do
  case $option in
    b) build=$OPTARG ;;
    t) tests+=(-t "$OPTARG") ;;
    *) echo "test-arm64.sh: wrong option; see the head of scripts/test-arm64.sh" >&2 && exit 2 ;;
  esac
done
[ ${#tests[@]} -gt 0 ] || tests=(-t runtime -t exact -t slow -t stuck -t bpftrace)
mkdir -p "$build/arm64"
arm64=$(realpath "$build")/arm64

scripts/debian-root.sh bookworm "$arm64/builder"
scripts/debian-root.sh bookworm "$arm64/root" arm64 python3 busybox-static bpftrace binutils gdb libboost-regex1.74.0 procps iproute2 kmod \
  libbpf1 libdw1 libseccomp2 libncursesw6 libmicrohttpd12 libyaml-cpp0.7 libprotobuf-lite32 libcurl4 libtomlplusplus3
if [ ! -e "$arm64/builder/complete" ]; then
  echo "Fetching the compilers, and libraries for arm64"
  native=(clang cmake ninja-build pkg-config bpftool protobuf-compiler crossbuild-essential-arm64 qemu-user python3) foreign=()
  for package in $(scripts/install-deps.sh build --print) libgtest-dev libgmock-dev; do
    [[ $package != *-dev ]] || foreign+=("$package:arm64")
  done
  # shellcheck disable=SC2016  # for the inner shell
  scripts/debian-enter.sh "$arm64/builder" sh -c 'export DEBIAN_FRONTEND=noninteractive
    dpkg --add-architecture arm64 && apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" && touch /complete' sh \
    "${native[@]}" "${foreign[@]}" >"$arm64/builder.log" 2>&1 ||
    { tail -5 "$arm64/builder.log" >&2 && echo "test-arm64.sh: cannot install them; $arm64/builder.log has all of it" >&2 && exit 1; }
fi

# Both roots have this folder and that of the build under their names, for this script alone.
# shellcheck disable=SC2016  # for the inner shell
exec unshare --mount --propagation private bash -c '
  set -euo pipefail
  arm64=$1
  shift
  for root in builder root; do
    mkdir -p "$arm64/$root$PWD" "$arm64/$root$arm64"
    mount --bind . "$arm64/$root$PWD"
    mount --bind "$arm64" "$arm64/$root$arm64"
  done
  mount -t proc proc "$arm64/builder/proc"
  mount --rbind /dev "$arm64/builder/dev"
  in_builder() { PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig chroot "$arm64/builder" "$@"; }
  echo "Building into $arm64/build/"
  if ! (in_builder cmake -S "$PWD" -B "$arm64/build" -G Ninja -DWAITPROBE_BUILD_TESTS=ON -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64 &&
    in_builder cmake --build "$arm64/build") >"$arm64/build.log" 2>&1; then
    tail -50 "$arm64/build.log" >&2
    exit 1
  fi
  status=0
  in_builder ctest --test-dir "$arm64/build" -R "^runtime[.]" -E "InsideSteps|[fF]ork|runtime[.]process|Cycles.agree" --no-tests=error --output-on-failure || status=1
  scripts/test-kernels.sh -b "$arm64/build" -r "$arm64/root" "$@" 6.1 || status=1
  exit $status' bash "$arm64" "${tests[@]}"
