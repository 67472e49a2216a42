#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The one place that names the packages: scripts/install-deps.sh [build|test|package] [--print]
#   build (default)  what the tool, the library and the demo need to be built and run
#   test             that, and what the tests, the benchmarks and lint need
#   package          what scripts/package.sh needs
# Installs those that are missing, as root or through sudo; else it does nothing. --print prints their names and installs nothing.
# a|b|c is the first of them that is installed or that apt offers: no list is of one distribution.
set -euo pipefail

build_packages=(
  clang cmake ninja-build pkg-config                              # compiler and build
  libbpf-dev 'bpftool|linux-tools-common'                         # BPF
  systemtap-sdt-dev libelf-dev libdw-dev                          # probes, ELF, stacks
  libseccomp-dev                                                  # names of system calls
  libcli11-dev nlohmann-json3-dev libncurses-dev zlib1g-dev       # command line, JSON, screen; compression in the demo
  libtomlplusplus-dev                                             # options from a file
  libboost-dev                                                    # Student's t
  protobuf-compiler libprotobuf-dev                               # Prometheus' native histograms
  libcurl4-openssl-dev                                            # the push of metrics
  libmicrohttpd-dev libgnutls28-dev libcrypt-dev libyaml-cpp-dev  # the HTTP server, its certificates and users
)
test_packages=(
  g++ lld libclang-rt-dev                                         # the other compiler; a linker; clang's sanitizers and fuzzer
  libgtest-dev libgmock-dev libbenchmark-dev valgrind             # tests and benchmarks
  bpftrace 'linux-perf|linux-tools-generic'                       # other tools that the tests run
  binutils gdb strace tmux python3 iproute2
  bpfcc-tools trace-cmd                                           # more of them; bcc compiles with a kernel's headers:
  'linux-headers-amd64|linux-headers-arm64|linux-headers-generic'
  mold 'binutils-gold|binutils'                                   # more linkers
  dwz elfutils patchelf musl-tools                                # what other tools make of files
  curl netcat-openbsd openssl                                     # clients of the HTTP server
  man-db groff zsh fish                                           # manual pages and completion
  'chromium|chromium-browser' fonts-dejavu-core                   # the page with pictures, in a browser
  systemd python3-yaml prometheus                                 # what checks deploy/: systemd-analyze, YAML, promtool
  qemu-system-x86 busybox-static cpio kmod xz-utils zstd          # the tests on other kernels
  abigail-tools                                                   # the ABI of the library
  clang-format cppcheck shellcheck git                            # lint
)
package_packages=(build-essential debhelper dpkg-dev lintian)
test_modules=(                                                    # of npm: in no package of Debian
  playwright-core@1.65.1                                          # drives the browser
  kubernetes-models@5.1.0 @kubernetes-models/prometheus-operator@6.0.0 @grafana/schema@13.2.3 typescript@5.9.3  # schemas for deploy/
  @action-validator/core@0.6.0 @action-validator/cli@0.6.0        # the schema of .github/workflows
)

packages=("${build_packages[@]}") modules=() is_print=
case ${1:-build} in
  build) ;;
  test)
    packages+=("${test_packages[@]}")
    modules=("${test_modules[@]}")
    # Whoever has an npm of their own keeps it.
    command -v npm >/dev/null || packages+=(nodejs npm)
    ;;
  package) packages+=("${package_packages[@]}") ;;
  *)
    echo "install-deps.sh: there is no set of packages '$1'. Usage: scripts/install-deps.sh [build|test|package] [--print]" >&2
    exit 2
    ;;
esac
case ${2:-} in
  '') ;;
  --print) is_print=1 ;;
  *) echo "install-deps.sh: wrong option '$2'. Usage: scripts/install-deps.sh [build|test|package] [--print]" >&2 && exit 2 ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: cannot install packages: there is no apt-get. By their names on Debian, these are needed: ${packages[*]} ${modules[*]}" >&2
  exit 1
fi

installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
is_installed() { grep -qxF "$1" <<<"$installed"; }
chosen() {
  local package names name
  for package in "${packages[@]}"; do
    IFS='|' read -ra names <<<"$package"
    for name in "${names[@]}" "${names[0]}"; do
      if [ ${#names[@]} -eq 1 ] || is_installed "$name" || [ -n "$(apt-cache madison "$name" 2>/dev/null)" ]; then break; fi
    done
    echo "$name"
  done | sort -u
}
missing_packages() {
  local package
  for package in $(chosen); do is_installed "$package" || echo "$package"; done
}
if [ -n "$is_print" ]; then chosen && exit 0; fi
mapfile -t missing < <(missing_packages)
# Those of `modules` that are not there.
missing_modules() {
  local module folder=
  ! command -v npm >/dev/null || folder=$(npm root -g)
  for module in "${modules[@]}"; do
    [ -n "$folder" ] && [ -d "$folder/${module%@*}" ] || echo "$module"
  done
}
[ ${#missing[@]} -gt 0 ] || [ -n "$(missing_modules)" ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: cannot install ${missing[*]} $(missing_modules | paste -sd' '): neither root nor sudo. Run as root: apt-get install ${missing[*]}" >&2
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
  # The tests start a Prometheus of their own. The package would start one as a service: now, and at each boot.
  service='' policy=/usr/sbin/policy-rc.d  # asked by packages before they start a service
  [[ " ${missing[*]} " != *" prometheus "* ]] || service=prometheus.service
  if [ -n "$service" ] && [ ! -e $policy ]; then
    trap 'rm -f "$log"; "${as_root[@]}" rm -f $policy' EXIT
    run sh -c "printf '#!/bin/sh\ncase \$1 in prometheus*) exit 101 ;; esac\n' >$policy && chmod 755 $policy"
  fi
  echo "Updating the list of packages (apt-get update)"
  run apt-get update -q
  mapfile -t missing < <(missing_packages)  # of what is offered now
  echo "Installing ${#missing[@]} packages and what they depend on: ${missing[*]}"
  run apt-get install -y -q --no-install-recommends "${missing[@]}"
  [ -z "$service" ] || run systemctl --quiet disable $service
fi
mapfile -t modules < <(missing_modules)
if [ ${#modules[@]} -gt 0 ]; then
  echo "Installing ${modules[*]}"
  run npm install -g --no-audit --no-fund --silent "${modules[@]}"
fi
