#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a container needs to run a program: image.sh PROGRAM FOLDER lays the program and the libraries it is linked with into a folder.
set -euo pipefail
program=$1 folder=$2
mkdir -p "$folder/usr/bin"
cp "$program" "$folder/usr/bin/"
# Lines such as "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)", and the loader's own: "/lib64/ld-linux-x86-64.so.2 (0x...)".
ldd "$program" | sed -nE 's,^[^/]*(/[^ ]+) \(0x.*,\1,p' | while read -r library; do
  cp --parents --dereference "$library" "$folder"
done
