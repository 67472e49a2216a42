#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The one place that names the packages: scripts/install-deps.sh [build|test] [--print]
#   build (default)  what the tool, the library and the demo need to be built and run
#   test             that, and what the tests, the benchmarks and lint need
# Installs those that are missing, as root or through sudo; else it does nothing. --print prints their names and installs nothing.
set -euo pipefail

build_packages=(
  clang cmake ninja-build pkg-config                              # compiler and build
  libbpf-dev bpftool systemtap-sdt-dev libelf-dev libdw-dev       # BPF, probes, ELF, stacks
  libseccomp-dev                                                  # names of system calls
  libcli11-dev nlohmann-json3-dev libncurses-dev zlib1g-dev       # command line, JSON, screen; compression in the demo
  libboost-dev                                                    # Student's t
  libcurl4-openssl-dev                                            # the push of metrics
  libmicrohttpd-dev libgnutls28-dev libcrypt-dev libyaml-cpp-dev  # the HTTP server, its certificates and users
)
test_packages=(
  g++ lld libclang-rt-dev                                         # the other compiler; a linker; clang's sanitizers and fuzzer
  libgtest-dev libgmock-dev libbenchmark-dev valgrind             # tests and benchmarks
  bpftrace linux-perf binutils gdb strace tmux python3            # other tools that the tests run
  bpfcc-tools linux-headers-amd64 trace-cmd                       # more of them; bcc compiles with a kernel's headers
  mold                                                            # one more linker for the matrix; binutils has gold
  curl netcat-openbsd openssl                                     # clients of the HTTP server
  man-db groff zsh fish                                           # manual pages and completion
  chromium fonts-dejavu-core                                      # the page with pictures, in a browser
  qemu-system-x86 busybox-static cpio kmod xz-utils zstd          # the tests on other kernels
  clang-format cppcheck shellcheck git                            # lint
)
browser_driver=playwright-core@1.65.1                             # in no package of Debian

packages=("${build_packages[@]}") driver=''
case ${1:-build} in
  build) ;;
  test)
    packages+=("${test_packages[@]}")
    driver=$browser_driver
    # Whoever has an npm of their own keeps it.
    command -v npm >/dev/null || packages+=(nodejs npm)
    ;;
  *)
    echo "install-deps.sh: there is no set of packages '$1'. Usage: scripts/install-deps.sh [build|test] [--print]" >&2
    exit 2
    ;;
esac
case ${2:-} in
  '') ;;
  --print) printf '%s\n' "${packages[@]}" && exit 0 ;;
  *) echo "install-deps.sh: wrong option '$2'. Usage: scripts/install-deps.sh [build|test] [--print]" >&2 && exit 2 ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: cannot install packages: there is no apt-get. By their names on Debian, these are needed: ${packages[*]} $driver" >&2
  exit 1
fi

missing=()
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null) || true
for package in "${packages[@]}"; do
  grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
done
has_driver() { [ -z "$driver" ] || { command -v npm >/dev/null && [ -d "$(npm root -g)/${driver%@*}" ]; }; }
[ ${#missing[@]} -gt 0 ] || ! has_driver || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: cannot install ${missing[*]} $driver: neither root nor sudo. Run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# The output is shown only on failure: debconf prints a lot where there is no terminal or locale.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
  "${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1 && return
  cat "$log" >&2
  echo "install-deps.sh: '$1 $2' failed with the output above" >&2
  exit 1
}
if [ ${#missing[@]} -gt 0 ]; then
  echo "Updating the list of packages (apt-get update)"
  run apt-get update -q
  echo "Installing ${#missing[@]} packages and what they depend on: ${missing[*]}"
  run apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
if ! has_driver; then
  echo "Installing $driver"
  run npm install -g --no-audit --no-fund --silent "$driver"
fi
