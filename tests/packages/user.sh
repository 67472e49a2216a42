#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a user does with the packages, in a root that has nothing else: /packages has them, /test this folder, /waitprobe the sources.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
install() {
  apt-get install -y -qq --no-install-recommends "$@" >/var/log/install 2>&1 && return
  tail -20 /var/log/install >&2
  echo "user.sh: cannot install $*" >&2
  exit 1
}
fail() {
  echo "user.sh: $1" >&2
  exit 1
}
counts() {
  local waits=$1
  shift
  waitprobe hist -- "$@" >/tmp/out || fail "waitprobe hist -- $* ended with $?"
  grep -q "^$waits waits in .*, coverage 100 %: none was lost" /tmp/out || { cat /tmp/out && fail "$waits waits were to be counted"; }
}

apt-get update -qq
install /packages/*.deb
waitprobe --version
# No tracefs, no debugfs, no BPF file system: as in a container.
waitprobe doctor >/tmp/doctor || { cat /tmp/doctor && fail "doctor says that tracing will not work"; }
tail -n 1 /tmp/doctor
for file in lib/systemd/system/waitprobe.service share/man/man1/waitprobe-hist.1.gz share/bash-completion/completions/waitprobe \
  share/waitprobe/scripts/waithist.bt share/waitprobe/waitprobe.toml; do
  [ -e "/usr/$file" ] || [ -e "/$file" ] || fail "there is no $file"
done
grep -q '^ExecStart=/usr/bin/waitprobe ' /usr/lib/systemd/system/waitprobe.service || fail "the unit does not start /usr/bin/waitprobe"

install g++ pkg-config libcli11-dev zlib1g-dev
# shellcheck disable=SC2046  # several words
g++ -std=c++17 -Wall -Wextra -Werror /test/guard.cpp -o /tmp/static $(pkg-config --cflags --libs waitprobe-static)
# shellcheck disable=SC2046
g++ -std=c++17 -Wall -Wextra -Werror /test/guard.cpp -o /tmp/shared $(pkg-config --cflags --libs waitprobe)
counts 100 /tmp/static
counts 100 /tmp/shared
documents=/usr/share/doc/libwaitprobe-dev
# shellcheck disable=SC2046
g++ -std=c++20 -O1 -I$documents $documents/examples/demo/*.cpp -o /tmp/demo $(pkg-config --cflags --libs waitprobe-static) -lz
counts '[0-9]*' /tmp/demo /usr/include/c++
sed -n 1,12p /tmp/out
waitprobe run --torch -- env | grep -qx "LD_PRELOAD=$(echo /usr/lib/*/libwaitprobe_torch.so)" || fail "run --torch does not find its library"

# The library alone, from source: without sys/sdt.h, ninja, or anything else.
install cmake make
[ -z "$(find /usr/include -name sdt.h -path '*/sys/*')" ] || fail "sys/sdt.h is there"
(cmake -S /waitprobe -B /tmp/build -DWAITPROBE_BUILD_TOOLS=OFF && cmake --build /tmp/build -j2 && cmake --install /tmp/build --prefix /tmp/prefix) >/tmp/log 2>&1 ||
  { tail -20 /tmp/log && fail "the library alone cannot be built"; }
# shellcheck disable=SC2046
g++ -std=c++17 /test/guard.cpp -o /tmp/alone $(PKG_CONFIG_PATH=$(echo /tmp/prefix/lib*/pkgconfig) pkg-config --cflags --libs waitprobe-static)
counts 100 /tmp/alone

apt-get purge -y -qq waitprobe libwaitprobe0 libwaitprobe-dev libwaitprobe-torch0 >/var/log/purge 2>&1
left=$(find / -xdev -name '*waitprobe*' -not -path '/proc/*' -not -path '/tmp/*' -not -path '/packages/*' -not -path '/waitprobe*' -not -path '/var/*' \
  -not -path '/run/*')
[ -z "$left" ] || fail "the packages have left $left"
echo "installed, used and removed"
