#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The one place that names the packages: scripts/install-deps.sh [build|test|package] [--print]
#   build (default)  what the tool, the library and the demo need to be built and run
#   test             that, and what the tests, the benchmarks and lint need
#   package          what scripts/package.sh needs
# Installs those that are missing, as root or through sudo; else it does nothing. --print prints their names and installs nothing.
set -euo pipefail

build_packages=(
  clang cmake ninja-build pkg-config                              # compiler and build
  libbpf-dev bpftool systemtap-sdt-dev libelf-dev libdw-dev       # BPF, probes, ELF, stacks
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
  bpftrace linux-perf binutils gdb strace tmux python3            # other tools that the tests run
  bpfcc-tools linux-headers-amd64 trace-cmd                       # more of them; bcc compiles with a kernel's headers
  mold dwz elfutils musl-tools                                    # one more linker (binutils has gold); what other tools make of files
  curl netcat-openbsd openssl                                     # clients of the HTTP server
  man-db groff zsh fish                                           # manual pages and completion
  chromium fonts-dejavu-core                                      # the page with pictures, in a browser
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

packages=("${build_packages[@]}") modules=()
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
  --print) printf '%s\n' "${packages[@]}" && exit 0 ;;
  *) echo "install-deps.sh: wrong option '$2'. Usage: scripts/install-deps.sh [build|test|package] [--print]" >&2 && exit 2 ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: cannot install packages: there is no apt-get. By their names on Debian, these are needed: ${packages[*]} ${modules[*]}" >&2
  exit 1
fi

missing=()
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null) || true
for package in "${packages[@]}"; do
  grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
done
missing_modules=()
folder=$(command -v npm >/dev/null && npm root -g) || true
for module in "${modules[@]}"; do
  [ -n "$folder" ] && [ -d "$folder/${module%@*}" ] || missing_modules+=("$module")
done
[ ${#missing[@]} -gt 0 ] || [ ${#missing_modules[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: cannot install ${missing[*]} ${missing_modules[*]}: neither root nor sudo. Run as root: apt-get install ${missing[*]}" >&2
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
  echo "Installing ${#missing[@]} packages and what they depend on: ${missing[*]}"
  run apt-get install -y -q --no-install-recommends "${missing[@]}"
  [ -z "$service" ] || run systemctl --quiet disable $service
fi
if [ ${#missing_modules[@]} -gt 0 ]; then
  echo "Installing ${missing_modules[*]}"
  run npm install -g --no-audit --no-fund --silent "${missing_modules[@]}"
fi
