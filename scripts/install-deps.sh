#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The one place that names the packages. Installs those that are missing, as root or through sudo; else it does nothing.
set -euo pipefail

packages=(
  g++ clang lld libclang-rt-14-dev cmake ninja-build pkg-config   # compilers and build
  libbpf-dev bpftool systemtap-sdt-dev libelf-dev libdw-dev       # BPF, probes, ELF, stacks
  libseccomp-dev                                                  # names of system calls
  libcli11-dev nlohmann-json3-dev libncurses-dev zlib1g-dev       # command line, JSON, screen; compression in the demo
  libboost-dev                                                    # Student's t
  libgtest-dev libgmock-dev libbenchmark-dev valgrind             # tests and benchmarks
  bpftrace linux-perf binutils gdb strace tmux python3            # other tools that the tests run
  bpfcc-tools linux-headers-amd64 trace-cmd                       # more of them; bcc compiles with a kernel's headers
  man-db groff zsh fish                                           # manual pages and completion
  chromium fonts-dejavu-core                                      # the page with pictures, in a browser
  qemu-system-x86 busybox-static cpio kmod xz-utils zstd          # the tests on other kernels
  clang-format cppcheck shellcheck git                            # lint
)

if ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: cannot install packages: there is no apt-get. On Debian 12 these are needed: ${packages[*]}" >&2
  exit 1
fi

# It is in no package of Debian. Whoever has an npm of their own keeps it.
browser_driver=playwright-core@1.65.1
command -v npm >/dev/null || packages+=(nodejs npm)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
has_driver() { command -v npm >/dev/null && [ -d "$(npm root -g)/${browser_driver%@*}" ]; }
[ ${#missing[@]} -gt 0 ] || ! has_driver || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: cannot install ${missing[*]} $browser_driver: neither root nor sudo. Run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if ! has_driver; then
  echo "Installing $browser_driver"
  "${as_root[@]}" npm install -g --no-audit --no-fund --silent "$browser_driver"
fi
