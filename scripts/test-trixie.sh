#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The bpftrace scripts and one-liners with the bpftrace of Debian 13: scripts/test-trixie.sh [-b BUILD]. As root.
# It is fetched (debootstrap, 200 MB) into BUILD/trixie and runs there from its own libraries, on this kernel and on the programs of BUILD.
# Exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=scripts/build-option.sh
. "$(dirname "$0")/build-option.sh"
if [ ! -x "$build/waitprobe-workload" ]; then
  echo "test-trixie.sh: nothing is built in $build: run scripts/test.sh" >&2
  exit 1
fi
build=$(realpath "$build")
root=$build/trixie
scripts/trixie-root.sh "$root" bpftrace

# Found by the tests as any bpftrace is. Not chroot: it has to see the files of this system by their names.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
loader=$(find "$root/usr/lib" -name 'ld-linux-*.so.*' | head -1)
libraries=$(find "$root/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
cat >"$folder/bpftrace" <<END
#!/bin/bash
exec "$loader" --library-path "$libraries" --argv0 bpftrace "$root/usr/bin/bpftrace" "\$@"
END
chmod +x "$folder/bpftrace"
export PATH=$folder:$PATH WAITPROBE_BUILD=$build
bpftrace --version
status=0
for test in scripts one_liners; do
  python3 -B "tests/e2e/${test}_test.py" || status=1
done
exit $status
