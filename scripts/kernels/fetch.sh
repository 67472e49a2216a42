#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fetches a kernel of Debian and makes it ready to boot in qemu: fetch.sh SUITE FOLDER [ARCH]; ARCH is amd64 (default) or arm64.
# FOLDER gets `vmlinux`, `modules/` (in the order of `modules/order`) and `release`. Nothing is installed. A FOLDER that is there
# stays as it is: remove it to fetch the newest kernel of the suite.
set -euo pipefail

suite=$1 folder=$2 arch=${3:-amd64}
[ ! -e "$folder/release" ] || exit 0

# What the guest needs to see the host's files.
modules=(virtio_pci 9pnet_virtio 9p overlay)

part=$folder.part
rm -rf "$part"
mkdir -p "$part/modules" "$part/tree" "$part/debs" "$part/apt/lists/partial" "$part/apt/cache/archives/partial"
part=$(realpath "$part")
log=$part/log
fail() {
  [ ! -s "$log" ] || tail -n 20 "$log" >&2
  echo "test-kernels.sh: cannot get the kernel of $suite: $*" >&2
  exit 1
}

# The first repository of that name that this machine's own apt uses.
repository() {
  find /etc/apt/sources.list /etc/apt/sources.list.d \( -name '*.list' -o -name '*.sources' \) -exec cat {} + 2>/dev/null |
    sed 's/#.*//' | grep -oE "[a-z+]+:/[^][ ]*/$1/?( |\$)" | head -n 1 | tr -d ' ' || true
}
mirror=$(repository debian)
[ -n "$mirror" ] || fail "no source in /etc/apt names a mirror of Debian (a URI that ends in /debian)"
echo "deb $mirror $suite main" >"$part/apt/sources.list"
security=$(repository debian-security)
if [ -n "$security" ] && [[ $suite != *-backports ]]; then
  echo "deb $security $suite-security main" >>"$part/apt/sources.list"
fi
: >"$part/apt/status"

# apt with lists, cache and sources of its own: it neither sees nor changes what this machine has installed.
options=(
  -o "Dir::State::Lists=$part/apt/lists" -o "Dir::State::status=$part/apt/status" -o "Dir::Cache=$part/apt/cache"
  -o "Dir::Etc::sourcelist=$part/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3 -o APT::Update::Error-Mode=any
)
echo "Fetching the kernel of $suite"
apt-get -qq "${options[@]}" update >"$log" 2>&1 || fail "apt-get update failed, see above: is there a network?"

# The image, and where the suite splits it, its parts.
packages=() next=("linux-image-$arch")
while [ ${#next[@]} -gt 0 ]; do
  mapfile -t next < <(apt-cache "${options[@]}" depends "${next[@]}" 2>>"$log" |
    sed -nE 's/^ *Depends: (linux-(base|binary|image|modules)-[0-9].*)/\1/p' | sort -u)
  packages+=("${next[@]}")
done
[ ${#packages[@]} -gt 0 ] || fail "it has no linux-image-$arch"
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
(cd "$part/debs" && apt-get -qq "${options[@]}" download "${packages[@]}") >"$log" 2>&1 || fail "apt-get download ${packages[*]} failed"
for deb in "$part"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$part/tree" --exclude='*/kernel/sound/*' --exclude='*/kernel/drivers/gpu/*' \
    --exclude='*/kernel/drivers/media/*' --exclude='./usr/share/*'
done
vmlinuz=$(find "$part/tree" -type f -name 'vmlinuz*' | head -n 1)
[ -n "$vmlinuz" ] || fail "no vmlinuz in ${packages[*]}"

unpack_amd64() {
  # qemu boots an uncompressed kernel in a tenth of the time. Where it lies in a vmlinuz, and how long it is, is told by its header
  # (Documentation/arch/x86/boot.rst): setup_sects, payload_offset and payload_length. All but gzip have their size in 4 bytes behind them.
  field() { od -An -v -t "u$2" -j "$1" -N "$2" "$vmlinuz" | tr -d ' '; }
  begin=$((($(field 0x1f1 1) + 1) * 512 + $(field 0x248 4)))
  length=$(field 0x24c 4)
  payload() { tail -c "+$((begin + 1))" "$vmlinuz" | head -c "$1"; }
  case $(od -An -v -t x1 -j "$begin" -N 4 "$vmlinuz" | tr -d ' ') in
    1f8b*) unpack=(gzip -dc) ;;
    28b52ffd) unpack=(zstd -dc) length=$((length - 4)) ;;
    fd377a58) unpack=(xz -dc) length=$((length - 4)) ;;
    *) fail "$(basename "$vmlinuz") is compressed in a way that is not known here" ;;
  esac
  # tail may meet a closed pipe.
  (set +o pipefail && payload "$length" | "${unpack[@]}" >"$part/vmlinux") 2>>"$log" || fail "cannot unpack $(basename "$vmlinuz")"
}
# Those of other machines are not compressed.
if [ "$arch" = amd64 ]; then unpack_amd64; else cp "$vmlinuz" "$part/vmlinux"; fi

folders=("$part"/tree/lib/modules/* "$part"/tree/usr/lib/modules/*)
for tree in "${folders[@]}"; do
  [ -d "$tree/kernel" ] && release=$(basename "$tree") && break
done
[ -n "${release:-}" ] || fail "no modules in ${packages[*]}"
# depmod and modprobe look in lib/modules only.
[ -e "$part/tree/lib" ] || ln -s usr/lib "$part/tree/lib"
depmod -b "$part/tree" "$release" 2>>"$log" || fail "depmod failed"
for module in "${modules[@]}"; do
  modprobe -d "$part/tree" -S "$release" --show-depends "$module" 2>>"$log" || fail "it has no module $module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$part/files"
while read -r file; do
  name=$(basename "$file") name=${name%%.ko*}.ko
  case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -qdc "$file" ;;
    *.gz) gzip -dc "$file" ;;
    *) cat "$file" ;;
  esac >"$part/modules/$name"
  echo "$name" >>"$part/modules/order"
done <"$part/files"

rm -rf "$part/tree" "$part/debs" "$part/apt" "$part/files" "$log"
echo "$release" >"$part/release"
rm -rf "$folder"
mv "$part" "$folder"
